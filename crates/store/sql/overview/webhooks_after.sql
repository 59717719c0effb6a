-- The next webhooks that are not deleted: $1 the last webhook of the previous page, $2 limit
SELECT id FROM webhooks WHERE id > $1 AND status <> 'deleted' ORDER BY id LIMIT $2
