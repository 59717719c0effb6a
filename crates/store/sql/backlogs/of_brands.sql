-- $1 brands
SELECT brand_id, waiting_events, waiting_bytes, since
FROM brand_backlogs
WHERE brand_id = ANY($1) AND waiting_events > 0
