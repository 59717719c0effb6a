-- Who works off the redeliveries of a webhook: one worker at a time, whatever replicas believe of one
-- another, so that the webhook's limits hold. It is a lease: whoever dies with it lets go of it.
CREATE TABLE redelivery_claims (
    webhook_id uuid PRIMARY KEY,
    -- Drawn anew each time that a worker begins.
    holder     uuid NOT NULL,
    until      timestamptz(3) NOT NULL
);
