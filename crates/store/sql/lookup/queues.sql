-- The queues of webhooks in front of a delivery: $1 webhooks, $2 created and $3 id of the event, $4 the most deliveries
-- that are read for each webhook, $5 the instant from which attempts are counted. A delivery is ahead if it is older and
-- due. The pending deliveries of a webhook are a range of the index of undelivered deliveries.
SELECT w.id, p.ahead, p.read, a.delivered, a.timeouts, a.failed,
       (SELECT resting_until FROM webhook_streaks WHERE webhook_id = w.id) AS resting_until
FROM unnest($1::uuid[]) AS w (id)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE d.next_attempt_at IS NULL OR d.next_attempt_at <= now()) AS ahead,
           count(*) AS read
    FROM (
        SELECT next_attempt_at FROM deliveries
        WHERE webhook_id = w.id AND status = 'pending' AND status <> 'delivered'
          AND created <= $2 AND (created, event_id) < ($2, $3)
        ORDER BY created, event_id
        LIMIT $4
    ) AS d
) AS p
CROSS JOIN LATERAL (
    SELECT coalesce(sum(delivered), 0)::bigint AS delivered,
           coalesce(sum(timeout), 0)::bigint AS timeouts,
           coalesce(sum(http_status + dns + connect + tls + blocked + protocol), 0)::bigint AS failed
    FROM webhook_activity
    WHERE webhook_id = w.id AND slice >= $5
) AS a
