-- Removes attempted deliveries from the queue and counts them for their jobs: $1 webhook; parallel arrays $2 created,
-- $3 events, $4 rounds, $5 whether it was delivered. A delivery that began another round meanwhile stays. The recorded
-- status also counts as delivered, because a process may have crashed after it recorded the attempt.
WITH held AS (
    -- Lock the jobs first, as every statement does that stops jobs, because another order could deadlock.
    SELECT id FROM redelivery_jobs
    WHERE id IN (
        SELECT r.job_id FROM redeliveries r
        JOIN unnest($2::timestamptz[], $3::uuid[]) AS k(created, event_id) USING (created, event_id)
        WHERE r.webhook_id = $1
    )
    ORDER BY id
    FOR UPDATE
), gone AS (
    DELETE FROM redeliveries r
    USING unnest($2::timestamptz[], $3::uuid[], $4::integer[], $5::boolean[]) AS k(created, event_id, round, delivered)
    WHERE (SELECT count(*) FROM held) >= 0 AND r.webhook_id = $1 AND r.created = k.created AND r.event_id = k.event_id AND r.round = k.round
    RETURNING r.job_id, r.webhook_id, r.created, r.event_id, k.delivered
), ended AS (
    SELECT g.job_id, g.delivered OR d.status IS NOT DISTINCT FROM 'delivered' AS delivered
    FROM gone g
    LEFT JOIN LATERAL (
        SELECT status FROM deliveries
        WHERE webhook_id = g.webhook_id AND created = g.created AND event_id = g.event_id
        LIMIT 1
    ) AS d ON true
)
UPDATE redelivery_jobs j
SET done = j.done + g.done, delivered = j.delivered + g.delivered, updated = now()
FROM (SELECT job_id, count(*) AS done, count(*) FILTER (WHERE delivered) AS delivered FROM ended GROUP BY job_id) AS g
WHERE j.id = g.job_id
