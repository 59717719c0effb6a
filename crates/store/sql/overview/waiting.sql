-- Pending deliveries of all webhooks. Those of each webhook are a range of the index of undelivered deliveries.
SELECT coalesce(sum(p.waiting), 0)::bigint AS waiting, min(p.oldest) AS oldest
FROM webhooks w
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting, min(d.created) AS oldest
    FROM deliveries d
    WHERE d.webhook_id = w.id AND d.status = 'pending' AND d.status <> 'delivered'
) AS p
WHERE w.status <> 'deleted'
