-- Deletes ended jobs, lapsed leases and idempotency keys that have not changed for $1 milliseconds.
WITH threshold AS (
    SELECT now() - $1::bigint * interval '1 ms' AS at
), jobs AS (
    DELETE FROM redelivery_jobs
    WHERE updated < (SELECT at FROM threshold) AND (stopped OR (walked AND done = queued))
), claims AS (
    DELETE FROM redelivery_claims WHERE until < (SELECT at FROM threshold)
)
DELETE FROM idempotency_keys WHERE created < (SELECT at FROM threshold)
