-- The attempts of a delivery, the oldest first, because an attempt's id begins with its time.
-- $1 webhook, $2 created, $3 event, $4 the last attempt of the previous page or nil, $5 limit
SELECT attempt_id, started_at, duration_ms, outcome, status_code, error, response_body, trigger
FROM attempts
WHERE webhook_id = $1 AND created = $2 AND event_id = $3 AND attempt_id > $4
ORDER BY attempt_id
LIMIT $5
