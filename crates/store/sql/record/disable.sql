-- The platform disables a webhook: $1 id, $2 reason, $3 detail, $4 the generation that was seen
UPDATE webhooks
SET status = 'disabled', disabled_reason = $2, disabled_detail = $3, disabled_at = now(),
    generation = generation + 1, updated = now()
WHERE id = $1 AND status = 'active' AND generation = $4
