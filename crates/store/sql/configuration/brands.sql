-- $1 known routing version
SELECT brand_id, switch_patterns, switch_states FROM brands WHERE routing_version > $1
