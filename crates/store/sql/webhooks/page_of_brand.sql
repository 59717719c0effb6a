-- $1 status or null, $2 a part of the endpoint or the description in lower case, or null, $3 webhooks to leave out, ($4, $5)
-- position after which the page begins, $6 limit, $7 brand
SELECT id, brand_id, endpoint, events, status, disabled_reason, disabled_detail, disabled_at,
       description, headers, header_names, max_concurrency, rate_per_second, created, updated,
       signing_key IS NOT NULL AS asymmetric
FROM webhooks
WHERE brand_id = $7 AND status <> 'deleted'
  AND ($1::text IS NULL OR status = $1)
  AND ($2::text IS NULL OR strpos(lower(endpoint), $2) > 0 OR strpos(lower(coalesce(description, '')), $2) > 0)
  AND NOT (id = ANY ($3::uuid[]))
  AND (created, id) > ($4, $5)
ORDER BY created, id
LIMIT $6
