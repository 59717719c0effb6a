-- $1 default of the quota. The brands with at least as many waiting bytes as their quota allows.
SELECT brand_id
FROM brand_backlogs
JOIN brands USING (brand_id)
WHERE waiting_bytes >= coalesce(quota_waiting_bytes, $1)
