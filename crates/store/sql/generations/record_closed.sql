-- $1 webhook, $2 generation
UPDATE webhooks SET settled_generation = $2 WHERE id = $1 AND settled_generation < $2
