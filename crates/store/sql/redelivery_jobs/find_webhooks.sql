-- The webhooks that have a redelivery in the queue or an open job: $1 milliseconds between two walks of a job. The queue
-- is read one row for each webhook, however many redeliveries a webhook has.
WITH RECURSIVE queued AS (
    (SELECT webhook_id FROM redeliveries ORDER BY webhook_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.webhook_id FROM redeliveries r WHERE r.webhook_id > q.webhook_id ORDER BY r.webhook_id LIMIT 1)
    FROM queued q
    WHERE q.webhook_id IS NOT NULL
)
SELECT webhook_id FROM queued WHERE webhook_id IS NOT NULL
UNION
SELECT webhook_id FROM redelivery_jobs
WHERE NOT walked AND NOT stopped
  AND (first_walked_at IS NULL OR first_walked_at <= now() - $1::bigint * interval '1 ms')
