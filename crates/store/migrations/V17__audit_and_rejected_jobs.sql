-- The outcome of acts that are not one transaction, and jobs that republish or delete rejected messages.

SET LOCAL lock_timeout = '2s';

-- NULL means that the act is done: it was one transaction with its entry. 'started' until the act ends with 'done' or
-- 'failed'. A process that dies in between leaves 'started'.
ALTER TABLE audit ADD COLUMN outcome text COLLATE "C";

CREATE TABLE rejected_jobs (
    id           uuid PRIMARY KEY,
    action       text COLLATE "C" NOT NULL CHECK (action IN ('republish', 'delete')),
    -- The messages that it is about: all of them, unless a column is set.
    brand_id     text COLLATE "C",
    reason       text COLLATE "C",
    type         text COLLATE "C",
    -- Most messages that it handles, if there is such a number.
    max_messages bigint CHECK (max_messages > 0),
    state        text COLLATE "C" NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'finished', 'stopped')),
    -- Messages that it republished or deleted.
    done         bigint NOT NULL DEFAULT 0,
    -- Messages that matched when it began; NULL until they are counted.
    total        bigint,
    created      timestamptz(3) NOT NULL DEFAULT now(),
    updated      timestamptz(3) NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    -- The entry of the audit that gets its outcome.
    audit_id     uuid NOT NULL,
    -- The process that works on it, and until when no other one may.
    holder       uuid,
    leased_until timestamptz
);
-- Two walks over the queue would hide messages from each other.
CREATE UNIQUE INDEX rejected_jobs_one_running ON rejected_jobs (state) WHERE state = 'running';
CREATE INDEX rejected_jobs_by_time ON rejected_jobs (created, id);

-- The indexes of the audit are built online (crates/store/src/maintenance/online_index.rs).
