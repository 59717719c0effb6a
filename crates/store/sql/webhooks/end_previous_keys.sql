-- Ends the overlap of a rotation: $1 id. Returns no row if none was left.
UPDATE webhooks
SET previous_secret = NULL, previous_secret_expires = NULL, previous_signing_key = NULL, updated = now()
WHERE id = $1 AND status <> 'deleted' AND previous_secret_expires > now()
RETURNING id
