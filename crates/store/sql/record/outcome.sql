-- Moves a delivery on without a record of the attempt, which PostgreSQL refuses to keep: $1 webhook, $2 created,
-- $3 event, $4 round, $5 started, $6 status, $7 next attempt, $8 when the round's first attempt started. The same
-- rules as in attempts.sql. The answer: the delivery as it stands now.
UPDATE deliveries
SET attempts = attempts + 1,
    status = CASE WHEN round = $4 AND (status = 'pending' OR $6 = 'delivered') THEN $6 ELSE status END,
    next_attempt_at = CASE WHEN round <> $4 THEN next_attempt_at WHEN status = 'pending' THEN $7::timestamptz END,
    first_attempt_at = CASE WHEN round = $4 THEN $8 ELSE first_attempt_at END,
    last_attempt_at = $5,
    last_error = NULL
WHERE webhook_id = $1 AND created = $2 AND event_id = $3
RETURNING status, round
