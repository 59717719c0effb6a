-- Adds the progress of a step, and extends the lease: $1 job, $2 holder, $3 messages done, $4 total if it was counted, $5
-- seconds. A job that was cancelled during the step keeps its state. Returns no row when another process took the job over.
UPDATE rejected_jobs
SET done = done + $3, total = coalesce($4, total), updated = now(), leased_until = now() + make_interval(secs => $5)
WHERE id = $1 AND holder = $2
RETURNING id, action, brand_id, reason, type, max_messages, state, done, total, created, updated, actor, audit_id
