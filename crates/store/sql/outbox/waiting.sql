-- $1 limit
SELECT id, exchange, routing_key, body FROM outbox ORDER BY at, id LIMIT $1
