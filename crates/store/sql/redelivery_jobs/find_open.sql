-- The oldest open job of a webhook that is due to continue: $1 webhook, $2 milliseconds between two walks
SELECT id, from_at, to_at, status, pattern, trigger, after_created, after_event, first_walked_at IS NULL AS first_walk
FROM redelivery_jobs
WHERE webhook_id = $1 AND NOT walked AND NOT stopped
  AND (first_walked_at IS NULL OR first_walked_at <= now() - $2::bigint * interval '1 ms')
ORDER BY created, id
LIMIT 1
