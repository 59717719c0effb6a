-- Cancels a job if it is running. The process that works on it notices after its step.
UPDATE rejected_jobs SET state = 'stopped', updated = now()
WHERE id = $1 AND state = 'running'
RETURNING id, action, brand_id, reason, type, max_messages, state, done, total, created, updated, actor, audit_id
