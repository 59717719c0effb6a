-- Clears the secrets and headers of at most $1 webhooks that an earlier release deleted.
UPDATE webhooks
SET secret = '', previous_secret = NULL, previous_secret_expires = NULL,
    signing_key = NULL, previous_signing_key = NULL, headers = '{}', sealed_headers = NULL, header_names = NULL
WHERE id IN (
    SELECT id FROM webhooks
    WHERE status = 'deleted' AND (secret <> '' OR headers::text <> '{}' OR sealed_headers IS NOT NULL)
    ORDER BY deleted_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
