SELECT id, action, brand_id, reason, type, max_messages, state, done, total, created, updated, actor, audit_id
FROM rejected_jobs WHERE id = $1
