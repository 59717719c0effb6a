-- $1 brand, $2 id
DELETE FROM tokens WHERE brand_id = $1 AND id = $2
RETURNING id, brand_id, name, role, created, last_used, expires
