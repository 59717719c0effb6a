-- Updates a delivery without storing its attempt, which PostgreSQL refused: $1 webhook, $2 created, $3 event, $4 round,
-- $5 started, $6 status, $7 next attempt, $8 start of the round's first attempt. The rules of attempts.sql apply.
-- Returns the delivery's status and round.
UPDATE deliveries
SET attempts = attempts + 1,
    status = CASE WHEN round = $4 AND (status = 'pending' OR $6 = 'delivered') THEN $6 ELSE status END,
    next_attempt_at = CASE WHEN round <> $4 THEN next_attempt_at WHEN status = 'pending' THEN $7::timestamptz END,
    first_attempt_at = CASE WHEN round = $4 THEN $8 ELSE first_attempt_at END,
    last_attempt_at = $5,
    last_error = NULL
WHERE webhook_id = $1 AND created = $2 AND event_id = $3
RETURNING status, round
