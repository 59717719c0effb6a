INSERT INTO brand_backlogs (brand_id, since)
SELECT brand_id, now()
FROM brands
WHERE brand_id = $1
ON CONFLICT (brand_id) DO UPDATE SET brand_id = brand_backlogs.brand_id
