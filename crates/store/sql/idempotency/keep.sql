-- $1 brand, $2 key, $3 fingerprint, $4 ids; nothing when the key is there
INSERT INTO idempotency_keys (brand_id, key, fingerprint, ids) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING ids, fingerprint
