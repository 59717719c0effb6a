-- Moves a job, if it is still at position ($2, $3) of the same walk: $1 job, ($4, $5) the new position, $6 whether that
-- is the end, $7 whether the job is on its first walk, $8 whether the first walk ends and a second one follows. The
-- same transaction puts the deliveries in between into the queue.
UPDATE redelivery_jobs
SET after_created = $4, after_event = $5, walked = $6, updated = now(),
    first_walked_at = CASE WHEN $8 THEN now() ELSE first_walked_at END
WHERE id = $1 AND after_created = $2 AND after_event = $3 AND NOT walked AND NOT stopped
  AND (first_walked_at IS NULL) = $7
RETURNING id
