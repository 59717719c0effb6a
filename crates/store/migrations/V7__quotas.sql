-- The quotas of brands, and the events that wait for a brand. The release before runs on this schema, too.

-- What support set (crates/domain/src/quota.rs). NULL is the default of the platform.
ALTER TABLE brands
    ADD COLUMN quota_events_per_second bigint CHECK (quota_events_per_second BETWEEN 1 AND 1000000),
    ADD COLUMN quota_bytes_per_second bigint CHECK (quota_bytes_per_second BETWEEN 1024 AND 17179869184),
    ADD COLUMN quota_deliveries_per_second bigint CHECK (quota_deliveries_per_second BETWEEN 1 AND 1000000),
    ADD COLUMN quota_waiting_bytes bigint CHECK (quota_waiting_bytes BETWEEN 262144 AND 17592186044416);

-- Routers read the quotas. A trigger beside brands_routing, because the release before may be running.
CREATE TRIGGER brands_routing_of_quotas BEFORE UPDATE ON brands
    FOR EACH ROW WHEN (
        (NEW.quota_events_per_second, NEW.quota_bytes_per_second,
         NEW.quota_deliveries_per_second, NEW.quota_waiting_bytes)
        IS DISTINCT FROM
        (OLD.quota_events_per_second, OLD.quota_bytes_per_second,
         OLD.quota_deliveries_per_second, OLD.quota_waiting_bytes)
    ) EXECUTE FUNCTION stamp_routing_version();

-- Events that routers moved into a brand's own backlog queue and have not routed yet.
CREATE TABLE brand_backlogs (
    brand_id       text COLLATE "C" PRIMARY KEY REFERENCES brands,
    waiting_events bigint NOT NULL DEFAULT 0,
    waiting_bytes  bigint NOT NULL DEFAULT 0,
    -- Since when events wait for the brand without a break.
    since          timestamptz(3) NOT NULL
) WITH (fillfactor = 50);

-- The API processes that take requests of a brand with a limited rate, which share its quota. A process renews its
-- row while it takes them.
CREATE TABLE quota_shares (
    brand_id  text COLLATE "C" NOT NULL REFERENCES brands,
    instance  uuid NOT NULL,
    last_used timestamptz(3) NOT NULL DEFAULT now(),
    PRIMARY KEY (brand_id, instance)
) WITH (fillfactor = 50);
