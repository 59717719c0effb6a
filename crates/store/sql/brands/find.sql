-- $1 id
SELECT brand_id, name, contact_name, contact_email, switch_patterns, switch_states, created, updated
FROM brands
WHERE brand_id = $1
