-- $1 known routing version
SELECT brand_id, switch_patterns, switch_states,
       quota_events_per_second, quota_bytes_per_second, quota_deliveries_per_second, quota_waiting_bytes
FROM brands
WHERE routing_version > $1
