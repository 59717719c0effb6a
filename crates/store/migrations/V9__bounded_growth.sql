-- Bounds for everything that grew without end: rows of deleted webhooks, the audit, and the queue of rejected messages.

SET LOCAL lock_timeout = '2s';

-- Maintenance looks for deleted webhooks by age.
CREATE INDEX webhooks_deleted ON webhooks (deleted_at) WHERE status = 'deleted';

-- What a brand put into the queue of rejected messages, by day (UTC). The routers keep each brand within its share of the
-- queue by it. The brand '' stands for messages without a brand.
CREATE TABLE rejected_usage (
    day              date NOT NULL,
    brand_id         text COLLATE "C" NOT NULL,
    -- Less than zero when support emptied more than was put in on this day.
    messages         bigint NOT NULL DEFAULT 0,
    bytes            bigint NOT NULL DEFAULT 0,
    -- What did not fit into the share, and was counted and dropped.
    dropped_messages bigint NOT NULL DEFAULT 0,
    dropped_bytes    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, brand_id)
);
