-- The webhooks that have something to be sent again: $1 milliseconds until the second walk of a job
SELECT webhook_id FROM redeliveries
UNION
SELECT webhook_id FROM redelivery_jobs
WHERE NOT walked AND NOT stopped
  AND (first_walked_at IS NULL OR first_walked_at <= now() - $1::bigint * interval '1 ms')
