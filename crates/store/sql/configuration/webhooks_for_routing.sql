-- $1 routing version known, 0 for none
SELECT id, brand_id, events, status, generation
FROM webhooks
WHERE routing_version > $1 AND ($1 > 0 OR status IN ('active', 'disabled'))
