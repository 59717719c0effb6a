-- $1 type
SELECT count(*) AS count FROM webhooks WHERE $1 = ANY (events) AND status <> 'deleted'
