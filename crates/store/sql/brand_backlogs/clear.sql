UPDATE brand_backlogs
SET waiting_events = 0, waiting_bytes = 0
WHERE brand_id = $1 AND (waiting_events, waiting_bytes) <> (0, 0)
