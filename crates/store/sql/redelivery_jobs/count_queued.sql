-- $1 job, $2 the number of deliveries that entered the queue
UPDATE redelivery_jobs SET queued = queued + $2 WHERE id = $1 RETURNING id
