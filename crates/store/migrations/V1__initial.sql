-- The whole schema of Postrider 0.1. Times have whole milliseconds, ULIDs are stored as uuid (they
-- sort alike), words are text with a CHECK that mirrors the enum in crates/domain.

-- ── What is configured ───────────────────────────────────────────────────────────────────────────

-- One number that grows with every change of what routing and delivering depend on. Each changed
-- row carries the number of its change, so that a reader who knows N asks for what is newer. The
-- row lock makes the numbers commit in order: nobody can see N+1 and miss N.
CREATE TABLE config_version (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version   bigint NOT NULL
);
INSERT INTO config_version (version) VALUES (1);

CREATE FUNCTION stamp_config_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE config_version SET version = version + 1 RETURNING version INTO NEW.version;
    RETURN NEW;
END $$;

-- The catalogue. A removed type keeps its row, so that readers learn of the removal.
CREATE TABLE event_types (
    name           text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Z0-9_]+(\.[A-Z0-9_]+){0,7}$' AND length(name) <= 128),
    description    text NOT NULL,
    schema         json,
    enforce_schema boolean NOT NULL DEFAULT false,
    example        json,
    built_in       boolean NOT NULL DEFAULT false,
    removed_at     timestamptz(3),
    created        timestamptz(3) NOT NULL DEFAULT now(),
    updated        timestamptz(3) NOT NULL DEFAULT now(),
    version        bigint NOT NULL,
    CHECK (NOT enforce_schema OR schema IS NOT NULL)
);
CREATE TRIGGER event_types_version BEFORE INSERT OR UPDATE ON event_types
    FOR EACH ROW EXECUTE FUNCTION stamp_config_version();

CREATE TABLE brands (
    brand_id      text COLLATE "C" PRIMARY KEY CHECK (brand_id ~ '^[A-Za-z0-9_-]{1,64}$'),
    name          text NOT NULL,
    contact_name  text,
    contact_email text,
    created       timestamptz(3) NOT NULL DEFAULT now(),
    updated       timestamptz(3) NOT NULL DEFAULT now(),
    -- Support's switches, parallel arrays: a type, a group or '*', and on or off. The most specific
    -- decides (crates/domain/src/catalogue.rs); without one a type is off.
    switch_patterns text[] NOT NULL DEFAULT '{}',
    switch_states   boolean[] NOT NULL DEFAULT '{}',
    version       bigint NOT NULL,
    CHECK (cardinality(switch_patterns) = cardinality(switch_states))
);
CREATE TRIGGER brands_version BEFORE INSERT OR UPDATE ON brands
    FOR EACH ROW EXECUTE FUNCTION stamp_config_version();

CREATE TABLE tokens (
    id       uuid PRIMARY KEY,
    brand_id text COLLATE "C" NOT NULL REFERENCES brands,
    name     text NOT NULL,
    role     text NOT NULL CHECK (role IN ('read', 'write')),
    -- Only the SHA-256 of 256 random bits is kept: nothing here can be used to sign in.
    sha256   bytea NOT NULL UNIQUE CHECK (length(sha256) = 32),
    created  timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX tokens_by_brand ON tokens (brand_id, created, id);

CREATE TABLE webhooks (
    id              uuid PRIMARY KEY,
    brand_id        text COLLATE "C" NOT NULL REFERENCES brands,
    endpoint        text NOT NULL CHECK (length(endpoint) <= 2048),
    events          text[] NOT NULL CHECK (cardinality(events) > 0),
    status          text NOT NULL CHECK (status IN ('active', 'paused', 'disabled', 'deleted')),
    disabled_reason text CHECK (disabled_reason IN ('gone', 'failing', 'unresponsive', 'support')),
    disabled_detail text,
    disabled_at     timestamptz(3),
    -- The figures behind the reason, as the notice tells them.
    disabled_figures json,
    -- Health is judged by what was counted since: support's re-enabling begins anew.
    health_since    timestamptz(3) NOT NULL DEFAULT now(),
    description     text,
    headers         json NOT NULL DEFAULT '{}',
    max_concurrency integer NOT NULL DEFAULT 10 CHECK (max_concurrency BETWEEN 1 AND 100),
    rate_per_second integer CHECK (rate_per_second BETWEEN 1 AND 10000),
    -- AES-256-GCM under the master key (crates/store/src/vault.rs).
    secret          bytea NOT NULL,
    -- The secret before the last rotation signs too, until then.
    previous_secret         bytea,
    previous_secret_expires timestamptz(3),
    created         timestamptz(3) NOT NULL DEFAULT now(),
    updated         timestamptz(3) NOT NULL DEFAULT now(),
    deleted_at      timestamptz(3),
    -- Grows with every change of status, by the trigger below. A delivery carries the generation it
    -- was routed in: one of an older generation is settled, never attempted.
    generation      integer NOT NULL DEFAULT 1,
    -- Deliveries of generations below this one have all been settled in the database.
    settled_generation integer NOT NULL DEFAULT 1 CHECK (settled_generation <= generation),
    -- What becomes of them; set by the same trigger when the webhook stops receiving.
    settle_as       text NOT NULL DEFAULT 'discarded' CHECK (settle_as IN ('held', 'discarded')),
    version         bigint NOT NULL,
    CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL)),
    CHECK ((disabled_reason IS NULL) = (disabled_at IS NULL)),
    CHECK ((status = 'deleted') = (deleted_at IS NOT NULL)),
    CHECK ((previous_secret IS NULL) = (previous_secret_expires IS NULL))
);
CREATE TRIGGER webhooks_version BEFORE INSERT OR UPDATE ON webhooks
    FOR EACH ROW EXECUTE FUNCTION stamp_config_version();

-- Health begins anew when a disabled webhook is active again.
CREATE FUNCTION renew_health() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.health_since := now();
    DELETE FROM webhook_streaks WHERE webhook_id = NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER webhooks_renew_health BEFORE UPDATE ON webhooks
    FOR EACH ROW WHEN (OLD.status = 'disabled' AND NEW.status = 'active') EXECUTE FUNCTION renew_health();

-- Messages that follow from a change, written with it and published afterwards: a process that dies
-- in between forgets none. The id is the AMQP message_id, so that an event is taken once.
CREATE TABLE outbox (
    id          uuid PRIMARY KEY,
    at          timestamptz(3) NOT NULL DEFAULT now(),
    exchange    text NOT NULL CHECK (exchange IN ('notices', 'events')),
    routing_key text NOT NULL,
    body        text NOT NULL
);

-- A webhook that is disabled, by the platform or by support: the operators' notice, and the event
-- for the brand's other webhooks.
CREATE FUNCTION announce_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    brand brands;
    at text := to_char(NEW.disabled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
BEGIN
    SELECT * INTO brand FROM brands WHERE brand_id = NEW.brand_id;
    INSERT INTO outbox (id, exchange, routing_key, body) VALUES
    (gen_random_uuid(), 'notices', 'webhook.disabled', json_build_object(
        'webhook', json_build_object('id', NEW.id, 'brandId', NEW.brand_id, 'endpoint', NEW.endpoint,
                                     'events', NEW.events, 'description', NEW.description),
        'reason', NEW.disabled_reason, 'detail', NEW.disabled_detail, 'at', at,
        'figures', coalesce(NEW.disabled_figures, '{}'),
        'contact', CASE WHEN brand.contact_name IS NOT NULL OR brand.contact_email IS NOT NULL
                   THEN json_build_object('name', brand.contact_name, 'email', brand.contact_email) END)),
    (gen_random_uuid(), 'events', 'WEBHOOK.DISABLED', json_build_object(
        'brandId', NEW.brand_id, 'type', 'WEBHOOK.DISABLED', 'created', at,
        'data', json_build_object('webhookId', NEW.id, 'endpoint', NEW.endpoint,
                                  'reason', NEW.disabled_reason, 'detail', NEW.disabled_detail, 'at', at)));
    RETURN NULL;
END $$;
CREATE TRIGGER webhooks_announce_disabled AFTER UPDATE ON webhooks
    FOR EACH ROW WHEN (NEW.status = 'disabled' AND OLD.status <> 'disabled')
    EXECUTE FUNCTION announce_disabled();

-- What becomes of waiting deliveries is remembered, for the webhook may be active again before all
-- of them are settled.
CREATE FUNCTION begin_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.generation := OLD.generation + 1;
    IF OLD.status = 'active' THEN
        NEW.settle_as := CASE NEW.status WHEN 'disabled' THEN 'held' ELSE 'discarded' END;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER webhooks_generation BEFORE UPDATE ON webhooks
    FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION begin_generation();
CREATE INDEX webhooks_by_version ON webhooks (version);
CREATE INDEX webhooks_by_brand ON webhooks (brand_id, created, id);
CREATE INDEX webhooks_by_age ON webhooks (created, id);

-- ── What happened ────────────────────────────────────────────────────────────────────────────────

-- Which partition of event_keys takes new keys. Routers read it in the statement that inserts,
-- which holds a lock on this table to the end; whoever turns the page takes the exclusive lock.
-- So when a new epoch begins, every key of the old ones is committed and visible, and one look-up
-- over all epochs plus one unique index finds every duplicate, without deleting rows to expire them.
CREATE TABLE ingest_epoch (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    current   integer NOT NULL,
    began     timestamptz(3) NOT NULL
);
INSERT INTO ingest_epoch (current, began) VALUES (1, now());

-- What was taken already: 'i:' and the producer's id, or 'm:' and its message_id.
CREATE TABLE event_keys (
    brand_id text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    epoch    integer NOT NULL,
    event_id uuid NOT NULL,
    created  timestamptz(3) NOT NULL,
    PRIMARY KEY (brand_id, key, epoch)
) PARTITION BY LIST (epoch);
CREATE TABLE event_keys_e1 PARTITION OF event_keys FOR VALUES IN (1);

-- Events that at least one webhook wants; the payload is stored once.
CREATE TABLE events (
    id       uuid NOT NULL,
    brand_id text COLLATE "C" NOT NULL,
    created  timestamptz(3) NOT NULL,
    type     text COLLATE "C" NOT NULL,
    -- JSON as it came in, byte for byte: not json or jsonb, which would parse it again.
    data     text NOT NULL,
    test     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (id, brand_id, created)
) PARTITION BY RANGE (created);

-- One event on its way to one webhook. The primary key is the order of Get Events.
CREATE TABLE deliveries (
    webhook_id      uuid NOT NULL,
    created         timestamptz(3) NOT NULL,
    event_id        uuid NOT NULL,
    brand_id        text COLLATE "C" NOT NULL,
    type            text COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'delivered', 'failed', 'held', 'discarded')),
    generation      integer NOT NULL,
    -- Grows with each redelivery; a message of an older round is superseded and dropped.
    round           integer NOT NULL DEFAULT 1,
    -- Attempts recorded, over all rounds.
    attempts        integer NOT NULL DEFAULT 0,
    -- How many of them are of earlier rounds.
    round_base      integer NOT NULL DEFAULT 0,
    -- When the first attempt of this round started: the retry window counts from here.
    first_attempt_at timestamptz(3),
    last_attempt_at timestamptz(3),
    next_attempt_at timestamptz(3),
    last_error      text,
    test            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (webhook_id, created, event_id),
    CHECK (next_attempt_at IS NULL OR status = 'pending'),
    CHECK ((attempts = 0) = (last_attempt_at IS NULL)),
    CHECK (status <> 'delivered' OR attempts > 0)
) PARTITION BY RANGE (created);
-- What is not delivered, by status: a filter stays a range scan however much was delivered.
CREATE INDEX deliveries_undelivered ON deliveries (webhook_id, status, created, event_id)
    WHERE status <> 'delivered';

-- One HTTP request each. They live and go with the day of their event.
CREATE TABLE attempts (
    webhook_id    uuid NOT NULL,
    created       timestamptz(3) NOT NULL,
    event_id      uuid NOT NULL,
    attempt_id    uuid NOT NULL,
    started_at    timestamptz(3) NOT NULL,
    duration_ms   integer NOT NULL,
    outcome       text COLLATE "C" NOT NULL CHECK (outcome IN
                  ('delivered', 'http_status', 'timeout', 'dns', 'connect', 'tls', 'blocked', 'protocol')),
    status_code   integer,
    error         text,
    response_body text,
    trigger       text COLLATE "C" NOT NULL CHECK (trigger IN ('fresh', 'retry', 'redeliver', 'held', 'test')),
    PRIMARY KEY (webhook_id, created, event_id, attempt_id)
) PARTITION BY RANGE (created);

-- What each webhook's attempts came to, in slices of a sixtieth of the health window: the figures
-- that disable a webhook, and the plots. Written with the attempts.
CREATE TABLE webhook_activity (
    webhook_id  uuid NOT NULL,
    slice       timestamptz(3) NOT NULL,
    delivered   integer NOT NULL,
    http_status integer NOT NULL,
    timeout     integer NOT NULL,
    dns         integer NOT NULL,
    connect     integer NOT NULL,
    tls         integer NOT NULL,
    blocked     integer NOT NULL,
    protocol    integer NOT NULL,
    -- Attempts by duration; the bounds are store::activity::BOUNDS_MS.
    durations   integer[] NOT NULL,
    first_failure timestamptz(3),
    last_failure  timestamptz(3),
    PRIMARY KEY (webhook_id, slice)
) PARTITION BY RANGE (slice);

-- Deliveries that ended failed since an attempt of the webhook succeeded last.
CREATE TABLE webhook_streaks (
    webhook_id    uuid PRIMARY KEY,
    failed_in_row integer NOT NULL
) WITH (fillfactor = 50);

CREATE FUNCTION add_counts(a integer[], b integer[]) RETURNS integer[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT array_agg(coalesce(x, 0) + coalesce(y, 0) ORDER BY n) FROM unnest(a, b) WITH ORDINALITY AS t(x, y, n) $$;

-- Makes the daily partitions (UTC) of the four tables that are missing in [first, last].
CREATE FUNCTION make_day_partitions(first_day date, last_day date) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    day date;
    parent text;
    made integer := 0;
BEGIN
    FOREACH parent IN ARRAY ARRAY['events', 'deliveries', 'attempts', 'webhook_activity'] LOOP
        FOR day IN SELECT generate_series(first_day, last_day, interval '1 day')::date LOOP
            IF to_regclass(format('%I', parent || to_char(day, '_YYYYMMDD'))) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    parent || to_char(day, '_YYYYMMDD'), parent,
                    day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- ── Who is there ─────────────────────────────────────────────────────────────────────────────────

-- A row for each process that runs, renewed by it; the deliverers share the webhooks out by it.
CREATE TABLE instances (
    id         uuid PRIMARY KEY,
    service    text NOT NULL CHECK (service IN ('subscription-api', 'router', 'deliverer')),
    host       text NOT NULL,
    version    text NOT NULL,
    started_at timestamptz(3) NOT NULL DEFAULT now(),
    last_seen  timestamptz(3) NOT NULL DEFAULT now()
);

-- Who changed what and when: every write of the API. Never a secret or a token.
CREATE TABLE audit (
    id       uuid PRIMARY KEY,
    at       timestamptz(3) NOT NULL DEFAULT now(),
    actor    text NOT NULL,
    action   text NOT NULL,
    brand_id text COLLATE "C",
    subject  text NOT NULL,
    before   json,
    after    json
);
CREATE INDEX audit_by_time ON audit (at, id);

-- ── What a fresh installation has (contract §4) ──────────────────────────────────────────────────

INSERT INTO event_types (name, description, schema, example) VALUES (
    'NOTIFICATION.SMS.RECEIPT',
    'An SMS message was received.',
    '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["phoneNumber","message"],"properties":{"phoneNumber":{"type":"string","description":"The sender, in E.164 form"},"message":{"type":"string"},"locale":{"type":"string","description":"BCP 47 language tag"}}}',
    '{"phoneNumber":"+1234456789","message":"I am an SMS message","locale":"en-US"}'
);
INSERT INTO event_types (name, description, schema, example, built_in) VALUES (
    'WEBHOOK.DISABLED',
    'Another webhook of the brand was disabled; only support can re-enable it.',
    '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["webhookId","endpoint","reason","detail","at"],"properties":{"webhookId":{"type":"string","format":"uuid"},"endpoint":{"type":"string"},"reason":{"enum":["gone","failing","unresponsive","support"]},"detail":{"type":"string"},"at":{"type":"string","format":"date-time"}}}',
    '{"webhookId":"9e21c694-ee9e-48a7-b016-522fd8ef08c1","endpoint":"https://example.com/my/webhook/endpoint","reason":"gone","detail":"The endpoint answered 410 Gone.","at":"2021-04-08T19:36:02.938Z"}',
    true
);
