-- Whether the broker has confirmed the events of a request with an Idempotency-Key. A retry of such a request publishes
-- nothing. The release before does not write the column, so that retries of its requests are published again, as before.

SET LOCAL lock_timeout = '2s';

ALTER TABLE idempotency_keys ADD COLUMN published boolean NOT NULL DEFAULT false;
-- Each row is updated once, soon after its insert. The update needs no new entries in the indexes if its page has room.
ALTER TABLE idempotency_keys SET (fillfactor = 50);
