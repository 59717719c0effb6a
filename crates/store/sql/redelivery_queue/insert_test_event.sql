-- Stores a test event for one webhook: $1 event, $2 webhook, $3 created, $4 type, $5 data
WITH target AS (
    SELECT id, brand_id, generation FROM webhooks WHERE id = $2
), stored AS (
    INSERT INTO events (id, brand_id, created, type, data, test)
    SELECT $1, brand_id, $3, $4, $5, true FROM target
), owed AS (
    INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation, test)
    SELECT id, $3, $1, brand_id, $4, generation, true FROM target
)
INSERT INTO redeliveries (webhook_id, created, event_id, round, trigger)
SELECT id, $3, $1, 1, 'test' FROM target
RETURNING event_id
