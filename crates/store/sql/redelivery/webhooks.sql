-- The webhooks that have something to be sent again.
SELECT webhook_id FROM redeliveries
UNION
SELECT webhook_id FROM redelivery_jobs WHERE NOT walked AND NOT stopped
