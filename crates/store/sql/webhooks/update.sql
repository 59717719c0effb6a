-- $1 id, $2 endpoint, $3 events, $4 status, $5–$7 disabled reason, detail, at; $8 description,
-- $9 maxConcurrency, $10 ratePerSecond. Triggers derive the other columns from the status.
UPDATE webhooks
SET endpoint = $2, events = $3, status = $4, disabled_reason = $5, disabled_detail = $6, disabled_at = $7,
    disabled_figures = CASE WHEN disabled_reason = $5 THEN disabled_figures END,
    description = $8, max_concurrency = $9, rate_per_second = $10, updated = now()
WHERE id = $1 AND status <> 'deleted'
RETURNING id, brand_id, endpoint, events, status, disabled_reason, disabled_detail, disabled_at,
          description, headers, header_names, max_concurrency, rate_per_second, created, updated,
          signing_key IS NOT NULL AS asymmetric
