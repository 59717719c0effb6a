-- $1 brand, $2 key, $3 fingerprint, $4 ids. Returns no row when the key is taken.
INSERT INTO idempotency_keys (brand_id, key, fingerprint, ids) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING ids, fingerprint
