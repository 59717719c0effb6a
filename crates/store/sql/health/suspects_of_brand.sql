-- Active webhooks of a brand that may need attention: $1 start of the recent attempts, $2 limit, $3 brand, $4 a day ago. A
-- suspect is failing or resting; the caller decides. The worst are first, by how
-- near they are to being disabled with the default rule, after 10 failed deliveries in a row or 50 attempts.
WITH failing AS (
    SELECT a.webhook_id, sum(a.http_status + a.timeout + a.dns + a.connect + a.tls + a.blocked + a.protocol) AS failures
    FROM webhook_activity a
    JOIN webhooks w ON w.id = a.webhook_id
    WHERE a.webhook_id = ANY (ARRAY(SELECT id FROM webhooks WHERE brand_id = $3))
      AND a.slice > $1 AND a.slice >= w.health_since
    GROUP BY a.webhook_id
    HAVING 2 * sum(a.http_status + a.timeout + a.dns + a.connect + a.tls + a.blocked + a.protocol)
           >= sum(a.delivered + a.http_status + a.timeout + a.dns + a.connect + a.tls + a.blocked + a.protocol)
       AND sum(a.delivered + a.http_status + a.timeout + a.dns + a.connect + a.tls + a.blocked + a.protocol) > 0
), between_attempts AS (
    -- Those without a recent attempt are judged by their latest slice, which is one probe of the key for each webhook. The
    -- comparisons of rows keep the planner from reading the slices of all webhooks in the order of their time.
    SELECT w.id AS webhook_id
    FROM webhooks w
    CROSS JOIN LATERAL (
        SELECT slice, delivered, http_status + timeout + dns + connect + tls + blocked + protocol AS failures
        FROM webhook_activity
        WHERE (webhook_id, slice) > (w.id, $4) AND (webhook_id, slice) < (w.id, 'infinity')
          AND slice > $4 AND slice >= w.health_since
          AND delivered + http_status + timeout + dns + connect + tls + blocked + protocol > 0
        ORDER BY webhook_id DESC, slice DESC
        LIMIT 1
    ) AS latest
    WHERE w.brand_id = $3 AND w.status = 'active' AND latest.slice <= $1 AND latest.failures >= latest.delivered
), streaks AS (
    -- A webhook without an attempt for a day is idle, whatever its last deliveries were.
    SELECT s.webhook_id
    FROM webhook_streaks s
    WHERE s.webhook_id = ANY (ARRAY(SELECT id FROM webhooks WHERE brand_id = $3))
      AND (s.resting_until > now() OR s.failed_in_row >= 3 AND EXISTS (
          SELECT FROM webhook_activity
          WHERE (webhook_id, slice) > (s.webhook_id, $4) AND (webhook_id, slice) < (s.webhook_id, 'infinity')
      ))
)
SELECT w.id
FROM (
    SELECT webhook_id FROM failing
    UNION
    SELECT webhook_id FROM between_attempts
    UNION
    SELECT webhook_id FROM streaks
) AS found
JOIN webhooks w ON w.id = found.webhook_id
LEFT JOIN failing f ON f.webhook_id = found.webhook_id
LEFT JOIN webhook_streaks s ON s.webhook_id = w.id
WHERE w.status = 'active'
ORDER BY greatest(coalesce(s.failed_in_row, 0) / 10.0, coalesce(f.failures, 0) / 50.0) DESC, w.created, w.id
LIMIT $2
