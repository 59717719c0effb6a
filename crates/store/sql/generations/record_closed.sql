-- Records that the generations before $2 are closed: $1 webhook
UPDATE webhooks SET settled_generation = $2 WHERE id = $1 AND settled_generation < $2
