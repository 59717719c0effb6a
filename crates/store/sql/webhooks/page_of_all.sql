-- $1 status or null, ($2, $3) position after which the page begins, $4 limit
SELECT id, brand_id, endpoint, events, status, disabled_reason, disabled_detail, disabled_at,
       description, headers, header_names, max_concurrency, rate_per_second, created, updated,
       signing_key IS NOT NULL AS asymmetric
FROM webhooks
WHERE status <> 'deleted' AND ($1::text IS NULL OR status = $1) AND (created, id) > ($2, $3)
ORDER BY created, id
LIMIT $4
