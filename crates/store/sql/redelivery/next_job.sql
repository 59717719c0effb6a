-- The oldest job of a webhook that is not walked to its end: $1 webhook
SELECT id, from_at, to_at, status, pattern, trigger, after_created, after_event
FROM redelivery_jobs
WHERE webhook_id = $1 AND NOT walked AND NOT stopped
ORDER BY created, id
LIMIT 1
