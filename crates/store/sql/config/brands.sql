-- $1 version known
SELECT brand_id, switch_patterns, switch_states FROM brands WHERE version > $1
