-- $1 id, $2 new sealed secret, $3 seconds (double) for which the old keys also sign, $4 new sealed signing key if the
-- webhook has a signing key, which rotates together with the secret
UPDATE webhooks
SET secret = $2,
    previous_secret = CASE WHEN $3::double precision > 0 THEN secret END,
    previous_secret_expires = CASE WHEN $3::double precision > 0 THEN now() + make_interval(secs => $3) END,
    signing_key = $4,
    previous_signing_key = CASE WHEN $3::double precision > 0 AND $4::bytea IS NOT NULL THEN signing_key END,
    secret_rotated = now(),
    updated = now()
WHERE id = $1 AND status <> 'deleted'
RETURNING previous_secret_expires
