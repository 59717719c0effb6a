-- The webhooks among $1 that have a delivery whose next attempt was due before $2 and that is not in `redeliveries`.
-- The ORDER BY makes every plan use the index of due retries.
SELECT w.id
FROM unnest($1::uuid[]) AS w (id),
     LATERAL (
         SELECT
         FROM deliveries d
         WHERE d.webhook_id = w.id AND d.status = 'pending' AND d.next_attempt_at < $2
           AND NOT EXISTS (
               SELECT
               FROM redeliveries r
               WHERE r.webhook_id = d.webhook_id AND r.created = d.created AND r.event_id = d.event_id
               OFFSET 0
           )
         ORDER BY d.next_attempt_at
         LIMIT 1
     ) AS due
