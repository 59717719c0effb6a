-- The webhooks among $1 that have a pending delivery that was due before $2. Only the oldest deliveries of each webhook
-- are checked, because an orphaned delivery stays pending until it is the oldest.
SELECT w.id
FROM unnest($1::uuid[]) AS w (id)
WHERE EXISTS (
    SELECT 1
    FROM (
        SELECT created, next_attempt_at
        FROM deliveries
        WHERE webhook_id = w.id AND status = 'pending'
        ORDER BY created, event_id
        LIMIT 50
    ) AS oldest
    WHERE coalesce(oldest.next_attempt_at, oldest.created) < $2
)
