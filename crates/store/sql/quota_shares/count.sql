-- $1 brands, $2 milliseconds after which a share ends
SELECT brand_id, count(*) AS instances
FROM quota_shares
WHERE brand_id = ANY($1) AND last_used > now() - $2::bigint * interval '1 ms'
GROUP BY brand_id
