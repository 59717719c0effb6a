SELECT brand_id, waiting_events, waiting_bytes
FROM brand_backlogs
WHERE (waiting_events > 0 OR $1) AND brand_id > $2
ORDER BY brand_id
LIMIT $3
