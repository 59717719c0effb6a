-- Takes or extends the lease on the running job: $1 holder, $2 seconds. Returns no row when there is none, or another
-- process works on it. Only the database's clock counts.
UPDATE rejected_jobs
SET holder = $1, leased_until = now() + make_interval(secs => $2)
WHERE state = 'running' AND (holder IS NULL OR holder = $1 OR leased_until < now())
RETURNING id, action, brand_id, reason, type, max_messages, state, done, total, created, updated, actor, audit_id
