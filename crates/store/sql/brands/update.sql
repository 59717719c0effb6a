-- $1 id, $2 name, $3 and $4 name and email address of the contact, $5 and $6 patterns and states of the switches
UPDATE brands
SET name = $2, contact_name = $3, contact_email = $4, switch_patterns = $5, switch_states = $6, updated = now()
WHERE brand_id = $1
RETURNING brand_id, name, contact_name, contact_email, switch_patterns, switch_states, created, updated
