-- $1 id, $2 the sealed signing key, or null for none. The previous signing key stops signing.
UPDATE webhooks SET signing_key = $2, previous_signing_key = NULL WHERE id = $1 AND status <> 'deleted'
