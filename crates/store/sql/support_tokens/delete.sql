-- $1 id
DELETE FROM support_tokens WHERE id = $1
RETURNING id, name, created, last_used, expires
