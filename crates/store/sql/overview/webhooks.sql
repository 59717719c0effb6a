SELECT status, count(*) AS count FROM webhooks WHERE status <> 'deleted' GROUP BY status
