-- Ends a job, and writes its outcome into its entry of the audit: $1 job, $2 holder, $3 state, $4 outcome, $5 what the job
-- came to. A job that was cancelled keeps its state; its entry then tells the last number.
WITH ended AS (
    UPDATE rejected_jobs
    SET state = CASE WHEN state = 'running' THEN $3 ELSE state END, updated = now(), holder = NULL, leased_until = NULL
    WHERE id = $1 AND holder = $2
    RETURNING audit_id
)
UPDATE audit SET outcome = $4, after = $5
FROM ended
WHERE audit.id = ended.audit_id
