-- $1 id; $2 and $3 the secrets, $4 and $5 the signing keys, $6 the headers as they were read; $7 to $11 the same, re-encrypted
UPDATE webhooks
SET secret = $7, previous_secret = $8, signing_key = $9, previous_signing_key = $10, sealed_headers = $11
WHERE id = $1 AND secret = $2 AND previous_secret IS NOT DISTINCT FROM $3
  AND signing_key IS NOT DISTINCT FROM $4 AND previous_signing_key IS NOT DISTINCT FROM $5
  AND sealed_headers IS NOT DISTINCT FROM $6
