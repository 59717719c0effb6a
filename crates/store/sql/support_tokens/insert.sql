-- $1 id, $2 name, $3 SHA-256, $4 the end of its validity or null
INSERT INTO support_tokens (id, name, sha256, created, expires) VALUES ($1, $2, $3, clock_timestamp(), $4)
RETURNING id, name, created, last_used, expires
