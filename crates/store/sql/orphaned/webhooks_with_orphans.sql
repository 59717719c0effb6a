-- Which of the webhooks $1 have a delivery that was due before $2. Only the oldest of each are looked
-- at: what has no message stays, and becomes the oldest.
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
