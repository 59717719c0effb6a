-- $1 id. The row stays, so that support can read its events until they expire.
UPDATE webhooks
SET status = 'deleted', deleted_at = now(), updated = now(),
    disabled_reason = NULL, disabled_detail = NULL, disabled_at = NULL, disabled_figures = NULL
WHERE id = $1 AND status <> 'deleted'
RETURNING id
