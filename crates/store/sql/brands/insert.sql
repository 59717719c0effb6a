-- $1 id, $2 name, $3 and $4 name and email address of the contact, $5 to $8 quotas of events, bytes and deliveries per
-- second and of waiting bytes. Returns no row when the brand exists.
INSERT INTO brands (brand_id, name, contact_name, contact_email, quota_events_per_second, quota_bytes_per_second,
                    quota_deliveries_per_second, quota_waiting_bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (brand_id) DO NOTHING
RETURNING brand_id, name, contact_name, contact_email, switch_patterns, switch_states, created, updated,
       quota_events_per_second, quota_bytes_per_second, quota_deliveries_per_second, quota_waiting_bytes
