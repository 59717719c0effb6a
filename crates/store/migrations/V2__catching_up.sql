-- Sending again what was sent before, or was held; and the ids of requests that may be retried.

-- One request to send a range of a webhook's events again. The owner of the webhook walks it in the
-- order of Get Events, so that any number of events costs one row and a restart goes on from there.
CREATE TABLE redelivery_jobs (
    id            uuid PRIMARY KEY,
    webhook_id    uuid NOT NULL REFERENCES webhooks,
    trigger       text NOT NULL CHECK (trigger IN ('redeliver', 'held')),
    from_at       timestamptz(3) NOT NULL,
    -- Not among them.
    to_at         timestamptz(3) NOT NULL,
    status        text CHECK (status IN ('pending', 'delivered', 'failed', 'held', 'discarded')),
    pattern       text,
    -- How many there were when it was asked for.
    total         bigint NOT NULL,
    -- The last place that was walked, and whether it was the end.
    after_created timestamptz(3) NOT NULL,
    after_event   uuid NOT NULL,
    walked        boolean NOT NULL DEFAULT false,
    -- Deliveries begun again, ended with an attempt or without one, and ended with a success.
    queued        bigint NOT NULL DEFAULT 0,
    done          bigint NOT NULL DEFAULT 0 CHECK (done <= queued),
    delivered     bigint NOT NULL DEFAULT 0 CHECK (delivered <= done),
    -- The webhook stopped receiving: what was not begun stays as it was.
    stopped       boolean NOT NULL DEFAULT false,
    created       timestamptz(3) NOT NULL DEFAULT now(),
    updated       timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX redelivery_jobs_open ON redelivery_jobs (webhook_id, created, id) WHERE NOT walked AND NOT stopped;
CREATE INDEX redelivery_jobs_by_age ON redelivery_jobs (updated);

-- Deliveries that were begun again and whose first attempt the webhook's owner is to make: kept until
-- that is recorded, so that a process that dies forgets none. They do not go through the webhook's
-- queue, where fresh events would wait behind them.
CREATE TABLE redeliveries (
    webhook_id uuid NOT NULL,
    created    timestamptz(3) NOT NULL,
    event_id   uuid NOT NULL,
    round      integer NOT NULL,
    trigger    text NOT NULL CHECK (trigger IN ('redeliver', 'held', 'test')),
    job_id     uuid,
    queued_at  timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (webhook_id, created, event_id)
) WITH (fillfactor = 70);

-- A webhook that stops receiving is sent nothing again; its pending deliveries are settled like all others.
CREATE FUNCTION stop_redeliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The jobs first: whoever is putting deliveries into the queue for one holds its row.
    UPDATE redelivery_jobs SET stopped = true, updated = now()
    WHERE webhook_id = NEW.id AND NOT stopped AND (NOT walked OR done < queued);
    DELETE FROM redeliveries WHERE webhook_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER webhooks_stop_redeliveries AFTER UPDATE ON webhooks
    FOR EACH ROW WHEN (OLD.status = 'active' AND NEW.status <> 'active') EXECUTE FUNCTION stop_redeliveries();

-- The ids that a request with an Idempotency-Key was given, for when it is retried.
CREATE TABLE idempotency_keys (
    brand_id    text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    -- SHA-256 of the request's body: the same key with another body is a mistake.
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    ids         uuid[] NOT NULL,
    created     timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (brand_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created);

-- What domain::delivery says of a delivery: rounds count from 1, and what failed or was delivered was
-- attempted. (Only an attempt ends a round's window, too.)
ALTER TABLE deliveries
    ADD CHECK (round >= 1 AND round_base >= 0 AND attempts >= round_base),
    ADD CHECK (status <> 'failed' OR attempts > 0);

-- The overview sums the last minutes over all webhooks.
CREATE INDEX webhook_activity_by_slice ON webhook_activity (slice);

-- Sums the counts by duration of many slices.
CREATE AGGREGATE sum_counts(integer[]) (SFUNC = add_counts, STYPE = integer[], INITCOND = '{}');
