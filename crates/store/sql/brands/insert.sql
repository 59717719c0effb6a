-- $1 id, $2 name, $3 and $4 name and email address of the contact. Returns no row when the brand exists.
INSERT INTO brands (brand_id, name, contact_name, contact_email) VALUES ($1, $2, $3, $4)
ON CONFLICT (brand_id) DO NOTHING
RETURNING brand_id, name, contact_name, contact_email, switch_patterns, switch_states, created, updated
