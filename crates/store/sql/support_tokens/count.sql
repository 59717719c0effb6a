SELECT count(*) AS count FROM support_tokens
