-- $1 id, $2 webhook
SELECT id, webhook_id, (SELECT w.brand_id FROM webhooks w WHERE w.id = j.webhook_id) AS brand_id, trigger, from_at, to_at, status,
       pattern, total, total_is_least, queued, done, delivered, walked, created, updated, actor,
       CASE WHEN cancelled THEN 'cancelled' WHEN stopped THEN 'stopped' WHEN walked AND done >= queued THEN 'finished'
            ELSE 'running' END AS state
FROM redelivery_jobs j
WHERE id = $1 AND webhook_id = $2
