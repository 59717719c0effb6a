-- The ids among $1 that are brands.
SELECT brand_id FROM brands WHERE brand_id = ANY ($1::text[])
