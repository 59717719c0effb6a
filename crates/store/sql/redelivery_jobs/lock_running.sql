-- Locks the running jobs of a webhook: $1 webhook
SELECT id
FROM redelivery_jobs
WHERE webhook_id = $1 AND NOT stopped AND (NOT walked OR done < queued)
ORDER BY id
FOR UPDATE
