-- $1 job, $2 how many more were put into the queue for it
UPDATE redelivery_jobs SET queued = queued + $2 WHERE id = $1 RETURNING id
