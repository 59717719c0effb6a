-- $1 id, $2 brand, $3 name, $4 role, $5 SHA-256
INSERT INTO tokens (id, brand_id, name, role, sha256, created) VALUES ($1, $2, $3, $4, $5, clock_timestamp())
RETURNING id, brand_id, name, role, created
