-- Records a batch of attempts and moves their deliveries on, all in one statement. Parallel arrays;
-- no delivery twice in a batch. A delivery that was settled or redelivered meanwhile keeps its
-- state, unless the attempt succeeded; one that has expired is passed over. The same batch again
-- changes nothing. The answer: for each place its delivery as it stands now.
WITH q AS (
    SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::integer[], $5::uuid[], $6::timestamptz[],
                         $7::integer[], $8::text[], $9::integer[], $10::text[], $11::text[], $12::text[],
                         $13::text[], $14::timestamptz[], $15::timestamptz[], $16::timestamptz[], $17::timestamptz[])
         WITH ORDINALITY AS q(webhook_id, created, event_id, round, attempt_id, started_at,
                              duration_ms, outcome, status_code, error, response_body, trigger,
                              status, next_attempt_at, first_attempt_at, ended_at, slice, place)
), kept AS (
    INSERT INTO attempts (webhook_id, created, event_id, attempt_id, started_at, duration_ms,
                          outcome, status_code, error, response_body, trigger)
    SELECT q.webhook_id, q.created, q.event_id, q.attempt_id, q.started_at, q.duration_ms,
           q.outcome, q.status_code, q.error, q.response_body, q.trigger
    FROM q JOIN deliveries d USING (webhook_id, created, event_id)
    ON CONFLICT DO NOTHING
    RETURNING attempt_id
), activity AS (
    INSERT INTO webhook_activity AS a (webhook_id, slice, delivered, http_status, timeout, dns, connect, tls,
                                       blocked, protocol, durations, first_failure, last_failure)
    SELECT q.webhook_id, q.slice,
           count(*) FILTER (WHERE q.outcome = 'delivered'),
           count(*) FILTER (WHERE q.outcome = 'http_status'),
           count(*) FILTER (WHERE q.outcome = 'timeout'),
           count(*) FILTER (WHERE q.outcome = 'dns'),
           count(*) FILTER (WHERE q.outcome = 'connect'),
           count(*) FILTER (WHERE q.outcome = 'tls'),
           count(*) FILTER (WHERE q.outcome = 'blocked'),
           count(*) FILTER (WHERE q.outcome = 'protocol'),
           ARRAY(SELECT coalesce(sum((width_bucket(same.duration_ms, $20::integer[]) = n)::integer), 0)::integer
                 FROM generate_series(0, cardinality($20::integer[])) AS n, unnest(array_agg(q.duration_ms)) AS same(duration_ms)
                 GROUP BY n ORDER BY n),
           min(q.ended_at) FILTER (WHERE q.outcome <> 'delivered'),
           max(q.ended_at) FILTER (WHERE q.outcome <> 'delivered')
    FROM q JOIN kept USING (attempt_id)
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
        durations = add_counts(a.durations, excluded.durations),
        first_failure = least(a.first_failure, excluded.first_failure),
        last_failure = greatest(a.last_failure, excluded.last_failure)
), streaks AS (
    -- $18 webhooks, $19 failed deliveries of each in this batch since its last success, negative
    -- (-1 - n) when there was a success in the batch, for then the streak begins anew.
    INSERT INTO webhook_streaks (webhook_id, failed_in_row)
    SELECT s.webhook_id, CASE WHEN s.change < 0 THEN -1 - s.change
                              ELSE s.change + coalesce(old.failed_in_row, 0) END
    FROM unnest($18::uuid[], $19::integer[]) AS s(webhook_id, change)
    LEFT JOIN webhook_streaks old USING (webhook_id)
    WHERE EXISTS (SELECT FROM kept)
      AND (s.change > 0 OR s.change < -1 OR coalesce(old.failed_in_row, 0) > 0)
    ORDER BY s.webhook_id
    ON CONFLICT (webhook_id) DO UPDATE SET failed_in_row = excluded.failed_in_row
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
