-- The webhooks among $1 with pending deliveries: the creation of the oldest one, and whether a delivery was due before $3.
-- $2 the instants from which each webhook is searched. Only the oldest deliveries of each webhook are checked, because
-- an orphaned delivery stays pending until it is the oldest.
SELECT w.id, min(oldest.created) AS oldest, bool_or(coalesce(oldest.next_attempt_at, oldest.created) < $3) AS is_due
FROM unnest($1::uuid[], $2::timestamptz[]) AS w (id, since),
     LATERAL (
         SELECT created, next_attempt_at
         FROM deliveries
         WHERE webhook_id = w.id AND status = 'pending' AND status <> 'delivered' AND created >= w.since
         ORDER BY created, event_id
         LIMIT 50
     ) AS oldest
GROUP BY w.id
