-- The exchange of an attempt: the request as it was sent, the head of the response, the phases in between. The form is that
-- of `domain::delivery::exchange`, with a version byte. Deliverers of the release before leave it empty.

SET LOCAL lock_timeout = '2s';

ALTER TABLE attempts ADD COLUMN exchange bytea;
