-- The webhooks that have a redelivery in the queue or an open job: $1 milliseconds between two walks of a job
SELECT webhook_id FROM redeliveries
UNION
SELECT webhook_id FROM redelivery_jobs
WHERE NOT walked AND NOT stopped
  AND (first_walked_at IS NULL OR first_walked_at <= now() - $1::bigint * interval '1 ms')
