-- One attempt of a delivery with its exchange: $1 webhook, $2 created, $3 event, $4 attempt
SELECT attempt_id, started_at, duration_ms, outcome, status_code, error, response_body, trigger, exchange
FROM attempts
WHERE webhook_id = $1 AND created = $2 AND event_id = $3 AND attempt_id = $4
