-- Deletes at most $2 of the entries that are older than $1 milliseconds, the oldest first.
DELETE FROM audit
WHERE id IN (
    SELECT id FROM audit
    WHERE at < now() - $1::bigint * interval '1 ms'
    ORDER BY at, id
    LIMIT $2
)
