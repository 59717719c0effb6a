-- Moves a job on, if it still stands at ($2, $3) of the same walk: $1 job, ($4, $5) the new place, $6 whether it is the
-- end, $7 whether it is on its first walk, $8 whether it ends that and walks again later. Whoever moves it puts the
-- deliveries in between into the queue in the same transaction.
UPDATE redelivery_jobs
SET after_created = $4, after_event = $5, walked = $6, updated = now(),
    first_walked_at = CASE WHEN $8 THEN now() ELSE first_walked_at END
WHERE id = $1 AND after_created = $2 AND after_event = $3 AND NOT walked AND NOT stopped
  AND (first_walked_at IS NULL) = $7
RETURNING id
