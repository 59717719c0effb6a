-- ($1, $2) position after which the page begins, $3 limit
SELECT id, name, created, last_used, expires
FROM support_tokens
WHERE (created, id) > ($1, $2)
ORDER BY created, id
LIMIT $3
