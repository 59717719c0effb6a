-- The webhooks among $1 that have a delivery whose next attempt was due before $3 and that is not in `redeliveries`, each
-- with the time of the most overdue one. $2 the instants from which each webhook is searched. The ORDER BY makes every
-- plan use the index of due retries.
SELECT w.id, due.next_attempt_at AS oldest
FROM unnest($1::uuid[], $2::timestamptz[]) AS w (id, since),
     LATERAL (
         SELECT d.next_attempt_at
         FROM deliveries d
         WHERE d.webhook_id = w.id AND d.status = 'pending' AND d.next_attempt_at >= w.since AND d.next_attempt_at < $3
           AND NOT EXISTS (
               SELECT
               FROM redeliveries r
               WHERE r.webhook_id = d.webhook_id AND r.created = d.created AND r.event_id = d.event_id
               OFFSET 0
           )
         ORDER BY d.next_attempt_at
         LIMIT 1
     ) AS due
