-- The number of single redeliveries of a webhook, counted to $2 at most: $1 webhook
SELECT count(*) AS number
FROM (SELECT FROM redeliveries WHERE webhook_id = $1 AND job_id IS NULL LIMIT $2) AS counted
