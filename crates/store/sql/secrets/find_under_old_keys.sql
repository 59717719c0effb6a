-- Webhooks that are not deleted, with a secret that is not under the current master key: $1 prefix of secrets under that key, $2 id after
-- which to begin
SELECT id, brand_id, secret, previous_secret, signing_key, previous_signing_key, sealed_headers
FROM webhooks
WHERE id > $2
  AND status <> 'deleted'
  AND EXISTS (
    SELECT FROM unnest(ARRAY[secret, previous_secret, signing_key, previous_signing_key, sealed_headers]) AS sealed (bytes)
    WHERE substring(bytes FROM 1 FOR length($1::bytea)) <> $1::bytea
  )
ORDER BY id
LIMIT 500
