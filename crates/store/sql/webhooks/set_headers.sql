-- $1 id; the headers either as $2 plain, or as $3 sealed and $4 names
UPDATE webhooks
SET headers = $2, sealed_headers = $3, header_names = $4
WHERE id = $1 AND status <> 'deleted'
