-- Webhooks that are not deleted, with plain headers and a secret under the current master key: $1 prefix of secrets under
-- that key, $2 id after which to begin. None while a process of the release before may read plain headers.
SELECT id, brand_id, secret, headers, sha256(convert_to(headers::text, 'UTF8')) AS digest
FROM webhooks
WHERE headers IS NOT NULL AND headers::text <> '{}'
  AND id > $2
  AND status <> 'deleted'
  AND substring(secret FROM 1 FOR length($1::bytea)) = $1::bytea
  AND NOT plain_headers_are_read()
ORDER BY id
LIMIT 100
