-- Begins a new round of deliveries: $1 webhook, $2 created, $3 events (parallel arrays), $4 trigger, $5 job or null, $6
-- a status that deliveries must have, or null. A new round supersedes every message of older rounds. The queue keeps the
-- status from before, to which the delivery returns if its job is cancelled. A job of a range leaves out what arrived after
-- it was created, although its `created` may be within the range: it is delivered anyway. The last condition of `begun` is redundant, so
-- that every plan uses the index. A job for held deliveries sends no test event again. A single redelivery takes its
-- delivery over from the job that queued it, so that cancelling the job does not drop it; the job then counts one delivery
-- less, because otherwise it would never end.
WITH former AS MATERIALIZED (
    SELECT k.created, k.event_id, d.status
    FROM unnest($2::timestamptz[], $3::uuid[]) AS k(created, event_id), LATERAL (
        SELECT status FROM deliveries
        WHERE webhook_id = $1 AND created = k.created AND event_id = k.event_id
          AND ($6::text IS NULL OR status = $6)
          AND NOT (test AND $4::text = 'held')
          AND ($4::text = 'held' OR $5::uuid IS NULL OR received IS NULL
               OR received <= (SELECT j.created FROM redelivery_jobs j WHERE j.id = $5))
        FOR UPDATE
    ) AS d
), begun AS (
    UPDATE deliveries d
    SET status = 'pending', round = d.round + 1, round_base = d.attempts, first_attempt_at = NULL,
        next_attempt_at = NULL, generation = (SELECT generation FROM webhooks WHERE id = $1)
    FROM former f
    WHERE d.webhook_id = $1 AND d.created = f.created AND d.event_id = f.event_id
      AND d.created = ANY ($2::timestamptz[])
    RETURNING d.webhook_id, d.created, d.event_id, d.round, f.status AS former_status
), taken AS MATERIALIZED (
    SELECT r.job_id, count(*) AS number
    FROM begun b
    JOIN redeliveries r ON r.webhook_id = $1 AND r.created = b.created AND r.event_id = b.event_id
    WHERE $5::uuid IS NULL AND r.job_id IS NOT NULL
    GROUP BY r.job_id
), reduced AS (
    UPDATE redelivery_jobs j
    SET queued = j.queued - t.number, updated = now()
    FROM taken t
    WHERE j.id = t.job_id AND NOT j.stopped
)
INSERT INTO redeliveries AS r (webhook_id, created, event_id, round, trigger, job_id, former_status)
SELECT webhook_id, created, event_id, round, $4, $5, former_status FROM begun
ON CONFLICT (webhook_id, created, event_id) DO UPDATE
SET round = excluded.round,
    job_id = CASE WHEN excluded.job_id IS NOT NULL THEN r.job_id END,
    trigger = CASE WHEN excluded.job_id IS NULL THEN excluded.trigger ELSE r.trigger END,
    former_status = CASE WHEN excluded.former_status <> 'pending' THEN excluded.former_status ELSE r.former_status END
RETURNING (r.job_id IS NOT DISTINCT FROM $5) AS counted
