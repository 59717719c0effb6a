-- $1 brand
SELECT count(*) AS count FROM tokens WHERE brand_id = $1
