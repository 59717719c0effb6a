-- Records a batch of attempts and updates their deliveries in one statement. The parameters are parallel arrays,
-- without two attempts of the same delivery. A delivery that was closed or redelivered meanwhile keeps its state,
-- unless the attempt succeeded; an expired delivery is skipped. Recording the same batch again changes nothing. Returns
-- the status of the delivery for each place of the batch.
--
-- One plan serves batches of any size. New attempts are looked up in a hash (IN over a whole list), because a join
-- would compare each row with each other row. A delivery is found by its key; OFFSET 0 keeps the planner from reading
-- all deliveries instead. Attempts are counted without subqueries.
WITH q AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::integer[], $5::uuid[], $6::timestamptz[],
                         $7::integer[], $8::text[], $9::integer[], $10::text[], $11::text[], $12::text[],
                         $13::text[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[],
                         $20::integer[], $21::timestamptz[], $24::bytea[])
         WITH ORDINALITY AS q(webhook_id, created, event_id, round, attempt_id, started_at,
                              duration_ms, outcome, status_code, error, response_body, trigger,
                              status, next_attempt_at, first_attempt_at, ended_at, slice, bucket, event_slice,
                              exchange, place)
), kept AS (
    INSERT INTO attempts (webhook_id, created, event_id, attempt_id, started_at, duration_ms,
                          outcome, status_code, error, response_body, trigger, exchange)
    SELECT q.webhook_id, q.created, q.event_id, q.attempt_id, q.started_at, q.duration_ms,
           q.outcome, q.status_code, q.error, q.response_body, q.trigger, q.exchange
    FROM q, LATERAL (
        SELECT FROM deliveries d
        WHERE d.webhook_id = q.webhook_id AND d.created = q.created AND d.event_id = q.event_id
        OFFSET 0
    ) AS there
    ON CONFLICT DO NOTHING
    RETURNING attempt_id
), activity AS (
    INSERT INTO webhook_activity AS a (webhook_id, slice, delivered, http_status, timeout, dns, connect, tls,
                                       blocked, protocol, durations, first_failure, last_failure, events_delivered,
                                       events_failed)
    SELECT q.webhook_id, q.slice,
           count(*) FILTER (WHERE q.outcome = 'delivered'),
           count(*) FILTER (WHERE q.outcome = 'http_status'),
           count(*) FILTER (WHERE q.outcome = 'timeout'),
           count(*) FILTER (WHERE q.outcome = 'dns'),
           count(*) FILTER (WHERE q.outcome = 'connect'),
           count(*) FILTER (WHERE q.outcome = 'tls'),
           count(*) FILTER (WHERE q.outcome = 'blocked'),
           count(*) FILTER (WHERE q.outcome = 'protocol'),
           ARRAY[count(*) FILTER (WHERE q.bucket = 0), count(*) FILTER (WHERE q.bucket = 1), count(*) FILTER (WHERE q.bucket = 2),
                 count(*) FILTER (WHERE q.bucket = 3), count(*) FILTER (WHERE q.bucket = 4), count(*) FILTER (WHERE q.bucket = 5),
                 count(*) FILTER (WHERE q.bucket = 6), count(*) FILTER (WHERE q.bucket = 7), count(*) FILTER (WHERE q.bucket = 8),
                 count(*) FILTER (WHERE q.bucket = 9), count(*) FILTER (WHERE q.bucket = 10), count(*) FILTER (WHERE q.bucket = 11),
                 count(*) FILTER (WHERE q.bucket = 12), count(*) FILTER (WHERE q.bucket = 13), count(*) FILTER (WHERE q.bucket = 14)],
           min(q.ended_at) FILTER (WHERE q.outcome <> 'delivered'),
           max(q.ended_at) FILTER (WHERE q.outcome <> 'delivered'),
           count(*) FILTER (WHERE q.status = 'delivered'),
           count(*) FILTER (WHERE q.status = 'failed')
    FROM (
        -- An attempt without a slice failed for a cause within the platform: only the end of its delivery counts. One
        -- without an event slice counts for nothing.
        SELECT webhook_id, event_slice AS slice, ended_at, status,
               CASE WHEN slice IS NOT NULL THEN outcome END AS outcome,
               CASE WHEN slice IS NOT NULL THEN bucket END AS bucket
        FROM q
        WHERE event_slice IS NOT NULL AND (slice IS NOT NULL OR status IN ('delivered', 'failed'))
          AND (attempt_id IN (SELECT attempt_id FROM kept)) IS TRUE
    ) AS q
    GROUP BY q.webhook_id, q.slice
    ORDER BY q.webhook_id, q.slice
    ON CONFLICT (webhook_id, slice) DO UPDATE SET
        delivered = a.delivered + excluded.delivered,
        http_status = a.http_status + excluded.http_status,
        timeout = a.timeout + excluded.timeout,
        dns = a.dns + excluded.dns,
        connect = a.connect + excluded.connect,
        tls = a.tls + excluded.tls,
        blocked = a.blocked + excluded.blocked,
        protocol = a.protocol + excluded.protocol,
        durations = ARRAY[a.durations[1] + excluded.durations[1], a.durations[2] + excluded.durations[2], a.durations[3] + excluded.durations[3],
                          a.durations[4] + excluded.durations[4], a.durations[5] + excluded.durations[5], a.durations[6] + excluded.durations[6],
                          a.durations[7] + excluded.durations[7], a.durations[8] + excluded.durations[8], a.durations[9] + excluded.durations[9],
                          a.durations[10] + excluded.durations[10], a.durations[11] + excluded.durations[11], a.durations[12] + excluded.durations[12],
                          a.durations[13] + excluded.durations[13], a.durations[14] + excluded.durations[14], a.durations[15] + excluded.durations[15]],
        first_failure = least(a.first_failure, excluded.first_failure),
        last_failure = greatest(a.last_failure, excluded.last_failure),
        events_delivered = a.events_delivered + excluded.events_delivered,
        events_failed = a.events_failed + excluded.events_failed
), streaks AS (
    -- $18 webhooks, $19 the change of each streak: n failed deliveries more, or -1 - n for n failed deliveries after a
    -- success within the batch, which reset the streak.
    -- $22 and $23 the rest that the endpoint asked for after the last success: since when and until when, or null.
    INSERT INTO webhook_streaks (webhook_id, failed_in_row, resting_since, resting_until)
    SELECT s.webhook_id,
           CASE WHEN s.change < 0 THEN -1 - s.change ELSE s.change + coalesce(old.failed_in_row, 0) END,
           CASE WHEN s.change >= 0 AND (s.rest_until IS NULL OR old.resting_until >= s.rest_since)
                THEN old.resting_since ELSE s.rest_since END,
           CASE WHEN s.change < 0 THEN s.rest_until ELSE greatest(old.resting_until, s.rest_until) END
    FROM unnest($18::uuid[], $19::integer[], $22::timestamptz[], $23::timestamptz[])
         AS s(webhook_id, change, rest_since, rest_until)
    LEFT JOIN webhook_streaks old USING (webhook_id)
    WHERE EXISTS (SELECT FROM kept)
      AND (s.change > 0 OR s.change < -1 OR coalesce(old.failed_in_row, 0) > 0 OR s.rest_until IS NOT NULL
           OR (s.change < 0 AND old.resting_until IS NOT NULL))
    ORDER BY s.webhook_id
    ON CONFLICT (webhook_id) DO UPDATE SET
        failed_in_row = excluded.failed_in_row,
        resting_since = excluded.resting_since,
        resting_until = excluded.resting_until
)
UPDATE deliveries d
SET attempts = d.attempts + (q.attempt_id IN (SELECT attempt_id FROM kept))::integer,
    status = CASE WHEN d.round = q.round AND (d.status = 'pending' OR q.status = 'delivered')
                  THEN q.status ELSE d.status END,
    next_attempt_at = CASE WHEN d.round <> q.round THEN d.next_attempt_at
                           WHEN d.status = 'pending' THEN q.next_attempt_at END,
    first_attempt_at = CASE WHEN d.round = q.round THEN q.first_attempt_at ELSE d.first_attempt_at END,
    last_attempt_at = q.started_at,
    last_error = q.error
FROM q
WHERE d.webhook_id = q.webhook_id AND d.created = q.created AND d.event_id = q.event_id
RETURNING q.place, d.status, d.round
