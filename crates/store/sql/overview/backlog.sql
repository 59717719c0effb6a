-- Deliveries that wait, over all webhooks; those that are due, and how long the oldest of them is due that
-- nobody asked for again: what is sent again may be days old. Each webhook is a range of its own in the
-- index of what is not delivered.
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
