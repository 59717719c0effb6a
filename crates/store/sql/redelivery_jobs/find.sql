-- $1 id, $2 webhook
SELECT id, webhook_id, trigger, from_at, to_at, status, pattern, total, total_is_least, queued, done, delivered, walked,
       stopped, created, updated
FROM redelivery_jobs
WHERE id = $1 AND webhook_id = $2
