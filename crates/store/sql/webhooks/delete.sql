-- $1 id. The row stays, so that support can read its events until they expire. Its secrets and headers go at once.
UPDATE webhooks
SET status = 'deleted', deleted_at = now(), updated = now(),
    disabled_reason = NULL, disabled_detail = NULL, disabled_at = NULL, disabled_figures = NULL,
    secret = '', previous_secret = NULL, previous_secret_expires = NULL,
    signing_key = NULL, previous_signing_key = NULL, headers = '{}', sealed_headers = NULL, header_names = NULL
WHERE id = $1 AND status <> 'deleted'
RETURNING id
