-- Begins a new round of deliveries: $1 webhook, $2 created, $3 events (parallel arrays), $4 trigger, $5 job or null, $6
-- a status that deliveries must have, or null. A new round supersedes every message of older rounds. The last condition
-- is redundant, so that every plan uses the index.
WITH begun AS (
    UPDATE deliveries d
    SET status = 'pending', round = d.round + 1, round_base = d.attempts, first_attempt_at = NULL,
        next_attempt_at = NULL, generation = (SELECT generation FROM webhooks WHERE id = $1)
    FROM unnest($2::timestamptz[], $3::uuid[]) AS k(created, event_id)
    WHERE d.webhook_id = $1 AND d.created = k.created AND d.event_id = k.event_id
      AND ($6::text IS NULL OR d.status = $6)
      AND d.created = ANY ($2::timestamptz[])
    RETURNING d.webhook_id, d.created, d.event_id, d.round
)
INSERT INTO redeliveries AS r (webhook_id, created, event_id, round, trigger, job_id)
SELECT webhook_id, created, event_id, round, $4, $5 FROM begun
ON CONFLICT (webhook_id, created, event_id) DO UPDATE SET round = excluded.round
RETURNING (r.job_id IS NOT DISTINCT FROM $5) AS counted
