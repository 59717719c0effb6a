-- $1 id, $2 brand
SELECT headers, sealed_headers FROM webhooks WHERE id = $1 AND brand_id = $2 AND status <> 'deleted'
