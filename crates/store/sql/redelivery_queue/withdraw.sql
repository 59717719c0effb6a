-- Takes deliveries of a cancelled job out of the queue that were not attempted, and returns them to the status that they
-- had: $1 job, $2 webhook. Deliveries that were pending before stay in the queue, because they are owed an attempt in any
-- case. The deliveries are locked in the order of their key, because another order could deadlock.
WITH waiting AS MATERIALIZED (
    SELECT created, event_id, round, former_status
    FROM redeliveries
    WHERE webhook_id = $2 AND job_id = $1 AND former_status <> 'pending'
    ORDER BY created, event_id
), locked AS MATERIALIZED (
    SELECT w.created, w.event_id, w.round, w.former_status
    FROM waiting w, LATERAL (
        SELECT FROM deliveries d
        WHERE d.webhook_id = $2 AND d.created = w.created AND d.event_id = w.event_id
          AND d.round = w.round AND d.status = 'pending' AND d.attempts = d.round_base
        FOR UPDATE
    ) AS not_attempted
), returned AS (
    UPDATE deliveries d
    SET status = l.former_status, next_attempt_at = NULL
    FROM locked l
    WHERE d.webhook_id = $2 AND d.created = l.created AND d.event_id = l.event_id
)
DELETE FROM redeliveries r
USING locked l
WHERE r.webhook_id = $2 AND r.created = l.created AND r.event_id = l.event_id AND r.round = l.round
RETURNING r.event_id
