-- Moves a job on, if it still stands at ($2, $3): $1 job, ($4, $5) the new place, $6 whether it is the
-- end. Whoever moves it puts the deliveries in between into the queue in the same transaction.
UPDATE redelivery_jobs
SET after_created = $4, after_event = $5, walked = $6, updated = now()
WHERE id = $1 AND after_created = $2 AND after_event = $3 AND NOT walked AND NOT stopped
RETURNING id
