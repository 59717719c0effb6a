-- Cancels a job that runs: $1 job, $2 webhook. It puts no further page into the queue, because each page needs the row.
UPDATE redelivery_jobs
SET stopped = true, cancelled = true, updated = now()
WHERE id = $1 AND webhook_id = $2 AND NOT stopped AND (NOT walked OR done < queued)
RETURNING id
