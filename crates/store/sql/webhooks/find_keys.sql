-- $1 id, $2 brand
SELECT secret, signing_key FROM webhooks WHERE id = $1 AND brand_id = $2 AND status <> 'deleted'
