-- "Where is my event?": a row for every event that the router took, and what webhooks were when an event was matched. The
-- release before runs on this schema, too: its rows lack the new columns, and it stores nothing of the events that it
-- drops.

SET LOCAL lock_timeout = '2s';

ALTER TABLE events
    -- When a router received the event first.
    ADD COLUMN received timestamptz(3),
    -- The version of the configuration that the event was matched against.
    ADD COLUMN routing_version bigint,
    -- The producer's own word for searching, such as an order id.
    ADD COLUMN key text COLLATE "C";
-- An event that no webhook wants has a row without data (''), which is no JSON.

-- Events that were matched with no webhook, because their type is not enabled for the brand or they were rejected. Their
-- identity is not taken, so that the producer may publish them again. Its indexes are in
-- crates/store/src/maintenance/online_index.rs.
CREATE TABLE unmatched_events (
    id       uuid NOT NULL,
    brand_id text COLLATE "C" NOT NULL,
    -- When it happened, or when it was received if that is unknown or outside of the retention.
    created  timestamptz(3) NOT NULL,
    -- As in event_keys: 'i:' and the producer's id, or 'm:' and its message_id.
    identity text COLLATE "C" NOT NULL,
    -- The text of the message, which may be no event type.
    type     text COLLATE "C",
    key      text COLLATE "C",
    received timestamptz(3) NOT NULL,
    -- Why it was rejected; NULL if its type is not enabled.
    reason   text COLLATE "C",
    detail   text,
    -- How often it was published again.
    again    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (id, brand_id, created)
) PARTITION BY RANGE (created);

-- How often stored events were published again.
CREATE TABLE event_duplicates (
    event_id uuid NOT NULL,
    brand_id text COLLATE "C" NOT NULL,
    created  timestamptz(3) NOT NULL,
    number   bigint NOT NULL,
    PRIMARY KEY (event_id, brand_id, created)
) PARTITION BY RANGE (created);

-- What routing knew of a webhook from a version of the configuration on. It says exactly why a webhook has no delivery of
-- an event, whatever happened to the webhook since.
CREATE TABLE webhook_versions (
    webhook_id      uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    routing_version bigint NOT NULL,
    status          text NOT NULL,
    events          text[] NOT NULL,
    began           timestamptz(3) NOT NULL DEFAULT now(),
    -- NULL for the current one. Maintenance deletes versions that ended before the retention.
    ended           timestamptz(3),
    PRIMARY KEY (webhook_id, routing_version)
);
CREATE INDEX webhook_versions_by_end ON webhook_versions (ended) WHERE ended IS NOT NULL;

CREATE FUNCTION keep_webhook_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_versions SET ended = now() WHERE webhook_id = NEW.id AND ended IS NULL;
    INSERT INTO webhook_versions (webhook_id, routing_version, status, events)
    VALUES (NEW.id, NEW.routing_version, NEW.status, NEW.events);
    RETURN NULL;
END $$;
CREATE TRIGGER webhooks_keep_new_version AFTER INSERT ON webhooks
    FOR EACH ROW EXECUTE FUNCTION keep_webhook_version();
CREATE TRIGGER webhooks_keep_version AFTER UPDATE ON webhooks
    FOR EACH ROW WHEN (NEW.routing_version <> OLD.routing_version) EXECUTE FUNCTION keep_webhook_version();

-- The webhooks of now. The triggers, which lock out changes, come first, so that no change is missed.
INSERT INTO webhook_versions (webhook_id, routing_version, status, events, began)
SELECT id, routing_version, status, events, created FROM webhooks;
