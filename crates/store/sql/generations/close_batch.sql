-- Closes some pending deliveries of generations before $2: $1 webhook, $3 their new status, $4 and $5 the last delivery of
-- the previous batch, $6 limit. Returns the number of closed deliveries, and the last of them.
WITH waiting AS (
    SELECT webhook_id, created, event_id
    FROM deliveries
    WHERE webhook_id = $1 AND status = 'pending' AND generation < $2 AND created >= $4 AND (created, event_id) > ($4, $5)
    ORDER BY created, event_id
    LIMIT $6
    FOR UPDATE
), closed AS (
    UPDATE deliveries d
    SET status = $3, next_attempt_at = NULL
    FROM waiting w
    WHERE d.webhook_id = w.webhook_id AND d.created = w.created AND d.event_id = w.event_id
    RETURNING d.created, d.event_id
)
SELECT count(*) OVER () AS closed, created, event_id
FROM closed
ORDER BY created DESC, event_id DESC
LIMIT 1
