-- Deletes at most $2 of the ended jobs that are older than $1 milliseconds, the oldest first.
DELETE FROM rejected_jobs
WHERE id IN (
    SELECT id FROM rejected_jobs
    WHERE created < now() - $1::bigint * interval '1 ms' AND state <> 'running'
    ORDER BY created, id
    LIMIT $2
)
