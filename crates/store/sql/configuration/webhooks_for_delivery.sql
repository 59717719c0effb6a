-- $1 known version, or 0
SELECT id, brand_id, endpoint, headers, sealed_headers, status, generation, settled_generation, settle_as,
       max_concurrency, rate_per_second, secret, previous_secret, previous_secret_expires,
       signing_key, previous_signing_key
FROM webhooks
WHERE version > $1 AND ($1 > 0 OR status <> 'deleted' OR settled_generation < generation)
