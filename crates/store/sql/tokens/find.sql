-- $1 SHA-256
SELECT id, brand_id, name, role, created FROM tokens WHERE sha256 = $1
