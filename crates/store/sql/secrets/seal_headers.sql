-- $1 id, $2 digest of the plain headers as they were read, $3 the same, sealed, $4 their names. A digest, because a client
-- library may log parameters.
UPDATE webhooks
SET headers = NULL, sealed_headers = $3, header_names = $4
WHERE id = $1 AND sha256(convert_to(headers::text, 'UTF8')) = $2 AND NOT plain_headers_are_read()
