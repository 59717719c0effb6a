-- The number of pending deliveries of all webhooks, the number that is due, and the time since the oldest became due.
-- That time ignores redeliveries, because they may be days old. The pending deliveries of each webhook are a range of
-- the index of undelivered deliveries.
SELECT coalesce(sum(p.waiting), 0)::bigint AS waiting, coalesce(sum(p.due), 0)::bigint AS due,
       coalesce(extract(epoch FROM greatest(max(p.overdue), interval '0')), 0)::double precision AS overdue_seconds
FROM webhooks w
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting,
           count(*) FILTER (WHERE coalesce(d.next_attempt_at, d.created) <= now()) AS due,
           max(now() - coalesce(d.next_attempt_at, d.created)) FILTER (WHERE d.round = 1) AS overdue
    FROM deliveries d
    WHERE d.webhook_id = w.id AND d.status = 'pending' AND d.status <> 'delivered'
) AS p
WHERE w.status <> 'deleted'
