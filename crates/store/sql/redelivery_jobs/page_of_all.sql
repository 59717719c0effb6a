-- The jobs of all webhooks, the newest first: ($1, $2) the position before which the page begins, $3 a state or null, $4
-- limit
SELECT *
FROM (
    SELECT id, webhook_id, (SELECT w.brand_id FROM webhooks w WHERE w.id = j.webhook_id) AS brand_id, trigger, from_at, to_at, status,
           pattern, total, total_is_least, queued, done, delivered, walked, created, updated, actor,
           CASE WHEN cancelled THEN 'cancelled' WHEN stopped THEN 'stopped' WHEN walked AND done >= queued THEN 'finished'
                ELSE 'running' END AS state
    FROM redelivery_jobs j
    WHERE (created, id) < ($1, $2)
) AS jobs
WHERE $3::text IS NULL OR state = $3
ORDER BY created DESC, id DESC
LIMIT $4
