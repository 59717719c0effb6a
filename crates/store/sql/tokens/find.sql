-- $1 SHA-256. A token that has expired is none.
SELECT id, brand_id, name, role, created, last_used, expires
FROM tokens
WHERE sha256 = $1 AND (expires IS NULL OR expires > now())
