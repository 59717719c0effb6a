-- The pending deliveries of the webhooks $1: their number, the number that is due, the creation of the oldest, and when the
-- one is due that is due first. A first attempt is due since the platform received the event, whatever `created` says. $2 the instants from which each webhook is searched, $3 the most
-- deliveries that are counted for a webhook, the oldest first. The first attempt of a redelivery is due since it was
-- asked for, which this row does not tell, so that it has no part in the last column. The pending deliveries of each
-- webhook are a range of the index of undelivered deliveries.
SELECT w.id, p.waiting, p.due, p.oldest, p.first_due
FROM unnest($1::uuid[], $2::timestamptz[]) AS w (id, since)
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(d.created) AS oldest,
           count(*) FILTER (WHERE coalesce(d.next_attempt_at, d.received, d.created) <= now()) AS due,
           min(coalesce(d.next_attempt_at, d.received, d.created)) FILTER (
               WHERE d.round = 1 OR d.next_attempt_at IS NOT NULL
           ) AS first_due
    FROM (
        SELECT created, received, next_attempt_at, round
        FROM deliveries
        WHERE webhook_id = w.id AND status = 'pending' AND status <> 'delivered' AND created >= w.since
        ORDER BY created, event_id
        LIMIT $3
    ) AS d
) AS p
WHERE p.waiting > 0
