-- Deletes at most $2 of the leases that lapsed more than $1 milliseconds ago. The table has one row for each webhook.
DELETE FROM redelivery_claims
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM redelivery_claims WHERE until < now() - $1::bigint * interval '1 ms' LIMIT $2
))
