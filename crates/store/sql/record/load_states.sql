-- The states of deliveries, each with its place in the arrays: $1 webhooks, $2 created, $3 events.
-- Each delivery is found by its key. OFFSET 0 keeps the planner from reading all deliveries instead.
SELECT q.place, d.status, d.round, d.attempts, d.first_attempt_at, d.next_attempt_at
FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) WITH ORDINALITY AS q(webhook_id, created, event_id, place),
     LATERAL (
         SELECT * FROM deliveries
         WHERE webhook_id = q.webhook_id AND created = q.created AND event_id = q.event_id
         OFFSET 0
     ) AS d
