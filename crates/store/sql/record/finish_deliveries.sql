-- Ends pending deliveries without an attempt: parallel arrays $1 webhooks, $2 created, $3 events, $4 rounds, $5 statuses,
-- without two entries of the same delivery. A delivery that ended, or began another round meanwhile, keeps its state.
-- Returns the places of the deliveries that ended now. The rows are locked in the order of the arrays, one by one, because
-- closing a generation locks the same rows in the order of the primary key, and another order could deadlock. $6 the time
-- slice in which deliveries that ended `failed` are counted.
WITH q AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::integer[], $5::text[])
         WITH ORDINALITY AS q(webhook_id, created, event_id, round, status, place)
), locked AS MATERIALIZED (
    SELECT q.*
    FROM q, LATERAL (
        SELECT FROM deliveries d
        WHERE d.webhook_id = q.webhook_id AND d.created = q.created AND d.event_id = q.event_id
          AND d.round = q.round AND d.status = 'pending'
        FOR UPDATE
    ) AS pending
), counted AS (
    INSERT INTO webhook_activity AS a (webhook_id, slice, delivered, http_status, timeout, dns, connect, tls, blocked,
                                       protocol, durations, events_failed)
    SELECT l.webhook_id, $6::timestamptz, 0, 0, 0, 0, 0, 0, 0, 0, '{0,0,0,0,0,0,0,0,0,0,0,0,0,0,0}', count(*)
    FROM locked l
    WHERE l.status = 'failed'
    GROUP BY l.webhook_id
    ORDER BY l.webhook_id
    ON CONFLICT (webhook_id, slice) DO UPDATE SET events_failed = a.events_failed + excluded.events_failed
)
UPDATE deliveries d
SET status = l.status, next_attempt_at = NULL
FROM locked l
WHERE d.webhook_id = l.webhook_id AND d.created = l.created AND d.event_id = l.event_id
RETURNING l.place
