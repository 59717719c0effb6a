-- $1 known routing version, or 0
SELECT id, brand_id, events, status, generation
FROM webhooks
WHERE routing_version > $1 AND ($1 > 0 OR status IN ('active', 'disabled'))
