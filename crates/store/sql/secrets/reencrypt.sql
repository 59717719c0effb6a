-- $1 id; $2 and $3 the secrets, $4 and $5 the signing keys as they were read; $6 to $9 the same, re-encrypted
UPDATE webhooks
SET secret = $6, previous_secret = $7, signing_key = $8, previous_signing_key = $9
WHERE id = $1 AND secret = $2 AND previous_secret IS NOT DISTINCT FROM $3
  AND signing_key IS NOT DISTINCT FROM $4 AND previous_signing_key IS NOT DISTINCT FROM $5
