SELECT brand_id, waiting_events, waiting_bytes
FROM brand_backlogs
WHERE waiting_events > 0 OR $1
ORDER BY brand_id
LIMIT $2
