-- The facts from which the state of the health of webhooks follows: $1 webhooks, $2 start of the recent attempts, $3 start
-- of the health window, $4 a day ago. One statement reads the activity of all of them, each by the key of its slices. The subqueries
-- have an OFFSET or a LIMIT, so that no plan reads whole tables.
SELECT w.id,
       w.status, coalesce(w.disabled_at, w.status_since, CASE WHEN w.generation = 1 THEN w.created END) AS status_since,
       coalesce(s.failed_in_row, 0)::bigint AS failed_in_row, s.resting_since, s.resting_until,
       a.recent_attempts, a.recent_failures, a.failures, a.events_delivered, a.events_failed,
       coalesce(a.last_slice, earlier.slice) AS last_attempt,
       coalesce(latest.attempts, 0)::bigint AS latest_attempts, coalesce(latest.failures, 0)::bigint AS latest_failures
FROM unnest($1::uuid[]) AS k(id)
JOIN webhooks w ON w.id = k.id
LEFT JOIN webhook_streaks s ON s.webhook_id = w.id
CROSS JOIN LATERAL (
    SELECT max(slice) FILTER (WHERE failures + delivered > 0) AS last_slice,
           coalesce(sum(failures + delivered) FILTER (WHERE slice > $2), 0)::bigint AS recent_attempts,
           coalesce(sum(failures) FILTER (WHERE slice > $2), 0)::bigint AS recent_failures,
           coalesce(sum(failures) FILTER (WHERE slice > $3), 0)::bigint AS failures,
           coalesce(sum(events_delivered) FILTER (WHERE slice > $3), 0)::bigint AS events_delivered,
           coalesce(sum(events_failed) FILTER (WHERE slice > $3), 0)::bigint AS events_failed
    FROM (
        SELECT slice, delivered, events_delivered, events_failed,
               http_status + timeout + dns + connect + tls + blocked + protocol AS failures
        FROM webhook_activity
        WHERE webhook_id = w.id AND slice > least($2::timestamptz, $3::timestamptz) AND slice >= w.health_since
        OFFSET 0
    ) AS slices
) AS a
-- Only of a webhook without an attempt in the window the slices of the day are read. ORDER BY slice with a LIMIT would let
-- the planner read the slices of all webhooks.
CROSS JOIN LATERAL (
    SELECT max(slice) AS slice
    FROM (
        SELECT slice
        FROM webhook_activity
        WHERE a.last_slice IS NULL AND webhook_id = w.id AND slice > $4
          AND delivered + http_status + timeout + dns + connect + tls + blocked + protocol > 0
        OFFSET 0
    ) AS slices
) AS earlier
-- Without a recent attempt, the latest slice with attempts decides.
LEFT JOIN LATERAL (
    SELECT delivered + http_status + timeout + dns + connect + tls + blocked + protocol AS attempts,
           http_status + timeout + dns + connect + tls + blocked + protocol AS failures
    FROM webhook_activity
    WHERE a.recent_attempts = 0 AND webhook_id = w.id AND slice = coalesce(a.last_slice, earlier.slice)
      AND slice >= w.health_since
    OFFSET 0
) AS latest ON true
