-- $1 id, $2 the headers, $3 the same, sealed, $4 their names. They are plain while a process of the release before may
-- read them, and if there are none.
UPDATE webhooks
SET headers = CASE WHEN form.plain THEN $2::json END,
    sealed_headers = CASE WHEN NOT form.plain THEN $3::bytea END,
    header_names = CASE WHEN NOT form.plain THEN $4::text[] END
FROM (SELECT $2::json::text = '{}' OR plain_headers_are_read() AS plain) AS form
WHERE id = $1 AND status <> 'deleted'
