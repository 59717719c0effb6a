-- $1 brand, $2 key
UPDATE idempotency_keys SET published = true WHERE brand_id = $1 AND key = $2
