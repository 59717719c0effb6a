-- The newest first. ($1, $2) position after which the page begins, $3 limit
SELECT id, at, actor, action, brand_id, subject, before, after
FROM audit
WHERE (at, id) < ($1, $2)
ORDER BY at DESC, id DESC
LIMIT $3
