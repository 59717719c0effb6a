-- The statistics that the health rule judges: $1 webhooks, $2 start of the window
SELECT w.id,
       coalesce(sum(a.delivered), 0)::bigint AS delivered,
       coalesce(sum(a.http_status + a.timeout + a.dns + a.connect + a.tls + a.blocked + a.protocol), 0)::bigint AS failures,
       min(a.first_failure) AS first_failure,
       max(a.last_failure) AS last_failure,
       coalesce((SELECT failed_in_row FROM webhook_streaks s WHERE s.webhook_id = w.id), 0)::bigint AS failed_in_row
FROM webhooks w
LEFT JOIN webhook_activity a ON a.webhook_id = w.id AND a.slice > $2 AND a.slice >= w.health_since
WHERE w.id = ANY ($1::uuid[]) AND w.status = 'active'
GROUP BY w.id
