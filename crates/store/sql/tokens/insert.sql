-- $1 id, $2 brand, $3 name, $4 role, $5 SHA-256, $6 the end of its validity or null
INSERT INTO tokens (id, brand_id, name, role, sha256, created, expires) VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6)
RETURNING id, brand_id, name, role, created, last_used, expires
