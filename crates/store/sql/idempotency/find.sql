-- $1 brand, $2 key
SELECT ids, fingerprint, published FROM idempotency_keys WHERE brand_id = $1 AND key = $2
