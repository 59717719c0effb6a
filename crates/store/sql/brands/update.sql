-- $1 id, $2 name, $3 and $4 name and email address of the contact, $5 and $6 patterns and states of the switches,
-- $7 to $10 quotas of events, bytes and deliveries per second and of waiting bytes
UPDATE brands
SET name = $2, contact_name = $3, contact_email = $4, switch_patterns = $5, switch_states = $6,
    quota_events_per_second = $7, quota_bytes_per_second = $8, quota_deliveries_per_second = $9,
    quota_waiting_bytes = $10, updated = now()
WHERE brand_id = $1
RETURNING brand_id, name, contact_name, contact_email, switch_patterns, switch_states, created, updated,
       quota_events_per_second, quota_bytes_per_second, quota_deliveries_per_second, quota_waiting_bytes
