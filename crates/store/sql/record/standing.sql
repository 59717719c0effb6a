-- $1 webhook, $2 created, $3 event
SELECT status, round, attempts, first_attempt_at, next_attempt_at
FROM deliveries
WHERE webhook_id = $1 AND created = $2 AND event_id = $3
