-- $1 brand. The subscriptions of the webhooks that the router matches.
SELECT events, count(*) AS webhooks
FROM webhooks
WHERE brand_id = $1 AND status IN ('active', 'disabled')
GROUP BY events
