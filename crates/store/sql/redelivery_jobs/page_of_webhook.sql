-- The jobs of a webhook, the newest first: $1 webhook, ($2, $3) the position before which the page begins, $4 a state or
-- null, $5 limit
SELECT *
FROM (
    SELECT id, webhook_id, (SELECT w.brand_id FROM webhooks w WHERE w.id = j.webhook_id) AS brand_id, trigger, from_at, to_at, status,
           pattern, total, total_is_least, queued, done, delivered, walked, created, updated, actor,
           CASE WHEN cancelled THEN 'cancelled' WHEN stopped THEN 'stopped' WHEN walked AND done >= queued THEN 'finished'
                ELSE 'running' END AS state
    FROM redelivery_jobs j
    WHERE webhook_id = $1 AND (created, id) < ($2, $3)
) AS jobs
WHERE $4::text IS NULL OR state = $4
ORDER BY created DESC, id DESC
LIMIT $5
