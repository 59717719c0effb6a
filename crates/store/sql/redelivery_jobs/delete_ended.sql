-- Deletes at most $2 of the ended jobs that have not changed for $1 milliseconds, the oldest first.
DELETE FROM redelivery_jobs
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM redelivery_jobs
    WHERE updated < now() - $1::bigint * interval '1 ms' AND (stopped OR (walked AND done = queued))
    ORDER BY updated
    LIMIT $2
))
