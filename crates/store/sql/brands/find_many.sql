-- $1 ids
SELECT brand_id, name, contact_name, contact_email, switch_patterns, switch_states, created, updated,
       quota_events_per_second, quota_bytes_per_second, quota_deliveries_per_second, quota_waiting_bytes
FROM brands
WHERE brand_id = ANY ($1::text[])
