-- The slices of webhooks whose attempts fail, as parallel arrays: $1 webhooks, $2 start of the health window, $3 a day ago,
-- $4 which of them are failing (parallel to $1). Of these also since when most attempts fail: the first failure after the
-- last slice in which most succeeded. The others are not read for a day.
SELECT w.id, h.starts, h.attempts, h.failures, h.first_failures, h.last_failures, f.failing_since
FROM unnest($1::uuid[], $4::boolean[]) AS k(id, is_failing)
JOIN webhooks w ON w.id = k.id
CROSS JOIN LATERAL (
    SELECT array_agg(slice ORDER BY slice) AS starts,
           array_agg(failures + delivered ORDER BY slice) AS attempts,
           array_agg(failures ORDER BY slice) AS failures,
           array_agg(first_failure ORDER BY slice) AS first_failures,
           array_agg(last_failure ORDER BY slice) AS last_failures
    FROM (
        SELECT slice, delivered, first_failure, last_failure,
               http_status + timeout + dns + connect + tls + blocked + protocol AS failures
        FROM webhook_activity
        WHERE webhook_id = w.id AND slice > $2 AND slice >= w.health_since
        OFFSET 0
    ) AS slices
) AS h
CROSS JOIN LATERAL (
    SELECT min(first_failure) FILTER (WHERE last_good IS NULL OR slice > last_good) AS failing_since
    FROM (
        SELECT slice, first_failure,
               max(slice) FILTER (
                   WHERE delivered > http_status + timeout + dns + connect + tls + blocked + protocol
               ) OVER () AS last_good
        FROM webhook_activity
        WHERE k.is_failing AND webhook_id = w.id AND slice > $3 AND slice >= w.health_since
        OFFSET 0
    ) AS slices
) AS f
