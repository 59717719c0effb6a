-- Disables a webhook on behalf of the platform, with its entry of the audit: $1 id, $2 reason, $3 detail, $4 statistics, $5
-- the generation that was judged, $6 id of the entry. It inserts the entry only if it disables the webhook.
WITH disabled AS (
    UPDATE webhooks
    SET status = 'disabled', disabled_reason = $2, disabled_detail = $3, disabled_figures = $4,
        disabled_at = now(), updated = now()
    WHERE id = $1 AND status = 'active' AND generation = $5
    RETURNING id, brand_id
)
INSERT INTO audit (id, at, actor, action, brand_id, subject, before, after)
SELECT $6, clock_timestamp(), 'platform', 'webhook.disable', brand_id, id::text,
       json_build_object('status', 'active'),
       json_build_object('status', 'disabled', 'disabled',
                         json_build_object('reason', $2::text, 'detail', $3::text), 'figures', $4::json)
FROM disabled
