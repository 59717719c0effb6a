-- $1 id. Keeps a token that is valid from being deleted until the transaction ends.
SELECT id FROM support_tokens WHERE id = $1 AND (expires IS NULL OR expires > now()) FOR KEY SHARE
