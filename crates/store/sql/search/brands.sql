-- Brands whose id or name contains the text, exact ids first: $1 the text, $2 the text as a pattern, $3 limit
SELECT brand_id, name FROM brands
WHERE brand_id ILIKE $2 OR name ILIKE $2
ORDER BY (lower(brand_id) = lower($1)) DESC, brand_id
LIMIT $3
