-- Bounds for redelivery. The release before runs on this schema, too: its jobs have the defaults, so that two of them may
-- run at once, as before.

-- No statement waits for long behind one of these.
SET LOCAL lock_timeout = '2s';

-- Whether the range has more deliveries than `total`, because counting stopped there.
ALTER TABLE redelivery_jobs ADD COLUMN total_is_least boolean NOT NULL DEFAULT false;
-- Whether the job may only run alone. False for jobs of the release before.
ALTER TABLE redelivery_jobs ADD COLUMN runs_alone boolean NOT NULL DEFAULT false;

-- At most one such job of a webhook runs.
CREATE UNIQUE INDEX redelivery_jobs_one_running ON redelivery_jobs (webhook_id)
    WHERE runs_alone AND NOT stopped AND (NOT walked OR done < queued);
-- Finds the running job of a webhook, including those of the release before.
CREATE INDEX redelivery_jobs_running ON redelivery_jobs (webhook_id, created)
    WHERE NOT stopped AND (NOT walked OR done < queued);

-- The indexes of `redeliveries` by the order in which they are sent are built online (crates/store/src/maintenance/online_index.rs).
