-- $1 SHA-256. A token that has expired is none.
SELECT id, name, created, last_used, expires
FROM support_tokens
WHERE sha256 = $1 AND (expires IS NULL OR expires > now())
