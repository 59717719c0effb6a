-- What the health of a webhook is derived from, and what makes redelivery reversible. The release before runs on this
-- schema, too: it writes none of the new columns, so that each of them may be absent.

SET LOCAL lock_timeout = '2s';

-- Since when a webhook has its status, NULL for changes before this release; and when its secret was last rotated.
ALTER TABLE webhooks
    ADD COLUMN status_since timestamptz(3),
    ADD COLUMN secret_rotated timestamptz(3);

CREATE OR REPLACE FUNCTION begin_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.generation := OLD.generation + 1;
    NEW.status_since := now();
    IF OLD.status = 'active' THEN
        NEW.settle_as := CASE NEW.status WHEN 'disabled' THEN 'held' ELSE 'discarded' END;
    END IF;
    RETURN NEW;
END $$;

-- The rest that the endpoint asked for with Retry-After: when it asked, and until when deliveries wait for it.
ALTER TABLE webhook_streaks
    ADD COLUMN resting_since timestamptz(3),
    ADD COLUMN resting_until timestamptz(3);

-- Deliveries that ended in the slice. An attempt is not a delivery: a delivery that failed had up to eight of them.
ALTER TABLE webhook_activity
    ADD COLUMN events_delivered integer NOT NULL DEFAULT 0,
    ADD COLUMN events_failed integer NOT NULL DEFAULT 0;

-- When a router took the event of the delivery. `created` is the producer's, who may back-date it. NULL for deliveries
-- from before. The default follows in a statement of its own, so that old rows do not get it.
ALTER TABLE deliveries ADD COLUMN received timestamptz(3);
ALTER TABLE deliveries ALTER COLUMN received SET DEFAULT now();

-- The status before the redelivery, to which the delivery returns if nothing was attempted. NULL for a test event, and for
-- rows of the release before.
ALTER TABLE redeliveries ADD COLUMN former_status text
    CHECK (former_status IN ('pending', 'delivered', 'failed', 'held', 'discarded'));

-- A person cancelled the job. It is stopped as well, which the release before understands.
ALTER TABLE redelivery_jobs
    ADD COLUMN cancelled boolean NOT NULL DEFAULT false,
    ADD COLUMN actor text;
-- Lists of jobs, the newest first.
CREATE INDEX redelivery_jobs_newest ON redelivery_jobs (created, id);
CREATE INDEX redelivery_jobs_of_webhook ON redelivery_jobs (webhook_id, created, id);

-- A webhook that stops receiving stops its jobs and empties its queue of redeliveries. Deliveries that were not attempted
-- return to the status that they had, so that a delivered event does not count as held because somebody had asked for it
-- once more. Deliveries that were pending before stay so, and end with their generation.
CREATE OR REPLACE FUNCTION stop_redeliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The jobs first: a process that puts deliveries into the queue for one holds its row.
    UPDATE redelivery_jobs SET stopped = true, updated = now()
    WHERE webhook_id = NEW.id AND NOT stopped AND (NOT walked OR done < queued);
    -- The deliveries in the order of their key, as every statement locks them, because another order could deadlock.
    WITH waiting AS MATERIALIZED (
        SELECT created, event_id, round, former_status
        FROM redeliveries
        WHERE webhook_id = NEW.id AND former_status <> 'pending'
        ORDER BY created, event_id
    ), locked AS MATERIALIZED (
        SELECT w.created, w.event_id, w.former_status
        FROM waiting w, LATERAL (
            SELECT FROM deliveries d
            WHERE d.webhook_id = NEW.id AND d.created = w.created AND d.event_id = w.event_id
              AND d.round = w.round AND d.status = 'pending' AND d.attempts = d.round_base
            FOR UPDATE
        ) AS not_attempted
    )
    UPDATE deliveries d
    SET status = l.former_status, next_attempt_at = NULL
    FROM locked l
    WHERE d.webhook_id = NEW.id AND d.created = l.created AND d.event_id = l.event_id;
    DELETE FROM redeliveries WHERE webhook_id = NEW.id;
    RETURN NULL;
END $$;

-- When a token was last used, to the minute; and until when it is valid.
ALTER TABLE tokens
    ADD COLUMN last_used timestamptz(3),
    ADD COLUMN expires timestamptz(3);
