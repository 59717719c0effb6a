-- Ends a pending delivery without an attempt: $1 webhook, $2 created, $3 event, $4 round, $5 status
UPDATE deliveries
SET status = $5, next_attempt_at = NULL
WHERE webhook_id = $1 AND created = $2 AND event_id = $3 AND round = $4 AND status = 'pending'
