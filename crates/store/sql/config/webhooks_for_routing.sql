-- $1 version known, 0 for none
SELECT id, brand_id, events, status, generation
FROM webhooks
WHERE version > $1 AND ($1 > 0 OR status IN ('active', 'disabled'))
