-- The deliveries without any attempt of stored events, each with the place of its event in the arrays: $1 brands, $2
-- keys. A router that died between storing and publishing leaves such rows. Each table is read by a key from the
-- previous table. OFFSET 0 keeps the planner from reading all pending deliveries of a webhook instead, which it prefers
-- while a table has no statistics.
SELECT q.place, k.event_id, k.created, d.webhook_id, d.generation
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q(brand_id, key, place),
     LATERAL (
         SELECT event_id, created FROM event_keys
         WHERE brand_id = q.brand_id AND key = q.key
         OFFSET 0
     ) AS k,
     LATERAL (
         SELECT id FROM webhooks
         WHERE brand_id = q.brand_id
         OFFSET 0
     ) AS w,
     LATERAL (
         SELECT * FROM deliveries
         WHERE webhook_id = w.id AND created = k.created AND event_id = k.event_id
         OFFSET 0
     ) AS d
WHERE d.status = 'pending' AND d.attempts = 0 AND d.round = 1
