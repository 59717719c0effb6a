-- Jobs, claims and idempotency keys that nobody asks for any more: $1 last touched before
WITH jobs AS (
    DELETE FROM redelivery_jobs WHERE updated < $1 AND (stopped OR (walked AND done = queued))
), claims AS (
    DELETE FROM redelivery_claims WHERE until < $1
)
DELETE FROM idempotency_keys WHERE created < $1
