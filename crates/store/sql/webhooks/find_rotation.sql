-- $1 id, $2 brand. The old secret signs until it expires, and its row keeps it for longer.
SELECT secret_rotated, CASE WHEN previous_secret_expires > now() THEN previous_secret_expires END AS previous_expires
FROM webhooks
WHERE id = $1 AND brand_id = $2 AND status <> 'deleted'
