-- Disables a webhook on behalf of the platform: $1 id, $2 reason, $3 detail, $4 statistics, $5 the generation that was
-- judged
UPDATE webhooks
SET status = 'disabled', disabled_reason = $2, disabled_detail = $3, disabled_figures = $4,
    disabled_at = now(), updated = now()
WHERE id = $1 AND status = 'active' AND generation = $5
