-- Newest first. ($1, $2) what the page comes after; $3 how many
SELECT id, at, actor, action, brand_id, subject, before, after
FROM audit
WHERE (at, id) < ($1, $2)
ORDER BY at DESC, id DESC
LIMIT $3
