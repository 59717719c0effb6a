-- $1 id
SELECT id, brand_id, endpoint, events, status, disabled_reason, disabled_detail, disabled_at,
       description, headers, header_names, max_concurrency, rate_per_second, created, updated,
       signing_key IS NOT NULL AS asymmetric
FROM webhooks
WHERE id = $1
