-- The newest first. ($1, $2) position after which the page begins, $3 limit
SELECT id, action, brand_id, reason, type, max_messages, state, done, total, created, updated, actor, audit_id
FROM rejected_jobs
WHERE (created, id) < ($1, $2)
ORDER BY created DESC, id DESC
LIMIT $3
