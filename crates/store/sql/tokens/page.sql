-- $1 brand, ($2, $3) position after which the page begins, $4 limit
SELECT id, brand_id, name, role, created, last_used, expires
FROM tokens
WHERE brand_id = $1 AND (created, id) > ($2, $3)
ORDER BY created, id
LIMIT $4
