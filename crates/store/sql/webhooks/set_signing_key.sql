-- $1 id, $2 the sealed key that signs from now on, null for none. One of before signs no longer.
UPDATE webhooks SET signing_key = $2, previous_signing_key = NULL WHERE id = $1 AND status <> 'deleted'
