-- Records a batch of attempts and moves their deliveries on, all in one statement. Parallel arrays;
-- no delivery twice in a batch. A delivery that was settled or redelivered meanwhile keeps its
-- state, unless the attempt succeeded; one that has expired is passed over. The same batch again
-- changes nothing. The answer: for each place its delivery as it stands now.
WITH q AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::integer[], $5::uuid[], $6::timestamptz[],
                         $7::integer[], $8::text[], $9::integer[], $10::text[], $11::text[], $12::text[],
                         $13::text[], $14::timestamptz[], $15::timestamptz[])
         WITH ORDINALITY AS q(webhook_id, created, event_id, round, attempt_id, started_at,
                              duration_ms, outcome, status_code, error, response_body, trigger,
                              status, next_attempt_at, first_attempt_at, place)
), kept AS (
    INSERT INTO attempts (webhook_id, created, event_id, attempt_id, started_at, duration_ms,
                          outcome, status_code, error, response_body, trigger)
    SELECT q.webhook_id, q.created, q.event_id, q.attempt_id, q.started_at, q.duration_ms,
           q.outcome, q.status_code, q.error, q.response_body, q.trigger
    FROM q JOIN deliveries d USING (webhook_id, created, event_id)
    ON CONFLICT DO NOTHING
    RETURNING attempt_id
)
UPDATE deliveries d
SET attempts = d.attempts + (k.attempt_id IS NOT NULL)::integer,
    status = CASE WHEN d.round = q.round AND (d.status = 'pending' OR q.status = 'delivered')
                  THEN q.status ELSE d.status END,
    next_attempt_at = CASE WHEN d.round <> q.round THEN d.next_attempt_at
                           WHEN d.status = 'pending' THEN q.next_attempt_at END,
    first_attempt_at = CASE WHEN d.round = q.round THEN q.first_attempt_at ELSE d.first_attempt_at END,
    last_attempt_at = q.started_at,
    last_error = q.error
FROM q LEFT JOIN kept k USING (attempt_id)
WHERE d.webhook_id = q.webhook_id AND d.created = q.created AND d.event_id = q.event_id
RETURNING q.place, d.status, d.round
