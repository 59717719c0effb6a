-- Closes some pending deliveries of generations before $2: $1 webhook, $3 their new status, $4 limit
WITH waiting AS (
    SELECT webhook_id, created, event_id
    FROM deliveries
    WHERE webhook_id = $1 AND status = 'pending' AND generation < $2
    ORDER BY created, event_id
    LIMIT $4
    FOR UPDATE
)
UPDATE deliveries d
SET status = $3, next_attempt_at = NULL
FROM waiting w
WHERE d.webhook_id = w.webhook_id AND d.created = w.created AND d.event_id = w.event_id
