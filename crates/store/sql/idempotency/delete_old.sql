-- Deletes at most $2 of the keys that are older than $1 milliseconds, the oldest first.
DELETE FROM idempotency_keys
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM idempotency_keys
    WHERE created < now() - $1::bigint * interval '1 ms'
    ORDER BY created
    LIMIT $2
))
