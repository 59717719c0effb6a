-- Deletes at most $2 versions of webhooks that ended more than $1 milliseconds ago, the oldest first.
DELETE FROM webhook_versions
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM webhook_versions
    WHERE ended IS NOT NULL AND ended < now() - $1::bigint * interval '1 ms'
    ORDER BY ended
    LIMIT $2
))
