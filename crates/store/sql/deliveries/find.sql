-- $1 webhook, $2 event, $3 brand
SELECT d.event_id, d.brand_id, d.created, d.type, d.test, d.status, d.attempts,
       d.last_attempt_at, d.next_attempt_at, d.last_error, e.data
FROM events e
JOIN deliveries d ON d.webhook_id = $1 AND d.created = e.created AND d.event_id = e.id
WHERE e.id = $2 AND e.brand_id = $3
LIMIT 1
