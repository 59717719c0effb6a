-- Webhooks with anything that is not sealed under the master key: $1 what that begins with, $2 ids after
SELECT id, brand_id, secret, previous_secret, signing_key, previous_signing_key
FROM webhooks
WHERE id > $2
  AND EXISTS (
    SELECT FROM unnest(ARRAY[secret, previous_secret, signing_key, previous_signing_key]) AS sealed (bytes)
    WHERE substring(bytes FROM 1 FOR length($1::bytea)) <> $1::bytea
  )
ORDER BY id
LIMIT 500
