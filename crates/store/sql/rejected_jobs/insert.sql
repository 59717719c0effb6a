-- Creates a job, unless one is running: $1 id, $2 action, $3 brand, $4 reason, $5 type, $6 most messages, $7 actor, $8 its
-- entry of the audit
INSERT INTO rejected_jobs (id, action, brand_id, reason, type, max_messages, actor, audit_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (state) WHERE state = 'running' DO NOTHING
RETURNING id, action, brand_id, reason, type, max_messages, state, done, total, created, updated, actor, audit_id
