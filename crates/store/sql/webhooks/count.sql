-- $1 brand
SELECT count(*) AS count FROM webhooks WHERE brand_id = $1 AND status <> 'deleted'
