-- Webhooks by id, or by a part of the endpoint or description: $1 id or null, $2 pattern, $3 brand or null, $4 limit
SELECT id, brand_id, endpoint, description, status FROM webhooks
WHERE status <> 'deleted' AND ($3::text IS NULL OR brand_id = $3)
  AND (id = $1 OR endpoint ILIKE $2 OR description ILIKE $2)
ORDER BY (id = $1) IS TRUE DESC, created, id
LIMIT $4
