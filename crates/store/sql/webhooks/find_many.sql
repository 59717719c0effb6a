-- $1 ids, $2 a part of the endpoint or the description in lower case, or null
SELECT id, brand_id, endpoint, events, status, disabled_reason, disabled_detail, disabled_at,
       description, headers, header_names, max_concurrency, rate_per_second, created, updated,
       signing_key IS NOT NULL AS asymmetric
FROM webhooks
WHERE id = ANY ($1::uuid[]) AND status <> 'deleted'
  AND ($2::text IS NULL OR strpos(lower(endpoint), $2) > 0 OR strpos(lower(coalesce(description, '')), $2) > 0)
