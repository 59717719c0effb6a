-- Maintenance that nobody waits for, one retention for all processes, and a version of the configuration for what
-- routing reads of it. The release before runs on this schema, too: it reads no new column and writes none.

-- No statement waits for long behind one of these: beside a dump the migration is tried again later.
SET LOCAL lock_timeout = '2s';

-- Creates a partition without an exclusive lock on its parent: as a plain table, which is attached then. False when
-- it is attached already. (The bounds are as in FOR VALUES.)
CREATE FUNCTION attach_partition(parent text, partition text, bounds text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(quote_ident(partition))) THEN
        RETURN false;
    END IF;
    IF to_regclass(quote_ident(partition)) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition, parent);
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES %s', parent, partition, bounds);
    -- One that was detached to be dropped, and is needed again after all, is no longer to be dropped.
    EXECUTE format('COMMENT ON TABLE %I IS NULL', partition);
    RETURN true;
END $$;

-- How long a process keeps events readable. NULL where a process of the release before says nothing of it.
ALTER TABLE instances ADD COLUMN retention_ms bigint CHECK (retention_ms > 0);

-- Held deliveries are looked for twice (crates/store/src/redeliveries.rs): when a job ended its first look.
ALTER TABLE redelivery_jobs ADD COLUMN first_walked_at timestamptz(3);

-- A number of its own for what routing reads: a change of a secret, of headers or limits, or that a generation is
-- settled, then makes no router load anything and no batch stale. Rows from before have the number of the beginning.
ALTER TABLE config_version ADD COLUMN routing bigint NOT NULL DEFAULT 1;
ALTER TABLE event_types ADD COLUMN routing_version bigint NOT NULL DEFAULT 1;
ALTER TABLE brands ADD COLUMN routing_version bigint NOT NULL DEFAULT 1;
ALTER TABLE webhooks ADD COLUMN routing_version bigint NOT NULL DEFAULT 1;
CREATE INDEX webhooks_by_routing_version ON webhooks (routing_version);

CREATE FUNCTION stamp_routing_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE config_version SET routing = routing + 1 RETURNING routing INTO NEW.routing_version;
    RETURN NEW;
END $$;

CREATE TRIGGER event_types_routing_of_new BEFORE INSERT ON event_types
    FOR EACH ROW EXECUTE FUNCTION stamp_routing_version();
CREATE TRIGGER event_types_routing BEFORE UPDATE ON event_types
    FOR EACH ROW WHEN (
        (NEW.removed_at IS NULL) <> (OLD.removed_at IS NULL)
        OR NEW.enforce_schema <> OLD.enforce_schema
        OR (NEW.enforce_schema AND NEW.schema::text IS DISTINCT FROM OLD.schema::text)
    ) EXECUTE FUNCTION stamp_routing_version();

CREATE TRIGGER brands_routing_of_new BEFORE INSERT ON brands
    FOR EACH ROW EXECUTE FUNCTION stamp_routing_version();
CREATE TRIGGER brands_routing BEFORE UPDATE ON brands
    FOR EACH ROW WHEN (NEW.switch_patterns <> OLD.switch_patterns OR NEW.switch_states <> OLD.switch_states)
    EXECUTE FUNCTION stamp_routing_version();

-- Triggers fire in the order of their names: these after webhooks_generation, which sets the generation.
CREATE TRIGGER webhooks_routing_of_new BEFORE INSERT ON webhooks
    FOR EACH ROW EXECUTE FUNCTION stamp_routing_version();
CREATE TRIGGER webhooks_routing BEFORE UPDATE ON webhooks
    FOR EACH ROW WHEN (
        NEW.brand_id <> OLD.brand_id OR NEW.events <> OLD.events
        OR NEW.status <> OLD.status OR NEW.generation <> OLD.generation
    ) EXECUTE FUNCTION stamp_routing_version();
