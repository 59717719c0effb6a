-- $1 id, $2 brand, $3 endpoint, $4 events, $5 status, $6 description, $7 maxConcurrency, $8 ratePerSecond,
-- $9 sealed secret, $10 sealed signing key or null; the headers either as $11 plain, or as $12 sealed and $13 names. The
-- time is the clock's and not the start of the transaction, so that a brand's webhooks are in the order in which they
-- became visible.
INSERT INTO webhooks (id, brand_id, endpoint, events, status, description, max_concurrency, rate_per_second, secret,
                      signing_key, headers, sealed_headers, header_names, created, updated)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, clock.now, clock.now
FROM (SELECT clock_timestamp() AS now) AS clock
RETURNING id, brand_id, endpoint, events, status, disabled_reason, disabled_detail, disabled_at,
          description, headers, header_names, max_concurrency, rate_per_second, created, updated,
          signing_key IS NOT NULL AS asymmetric
