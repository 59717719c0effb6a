-- $1 brand, $2 status or null, ($3, $4) position after which the page begins, $5 limit
SELECT id, brand_id, endpoint, events, status, disabled_reason, disabled_detail, disabled_at,
       description, headers, header_names, max_concurrency, rate_per_second, created, updated,
       signing_key IS NOT NULL AS asymmetric
FROM webhooks
WHERE brand_id = $1 AND status <> 'deleted' AND ($2::text IS NULL OR status = $2) AND (created, id) > ($3, $4)
ORDER BY created, id
LIMIT $5
