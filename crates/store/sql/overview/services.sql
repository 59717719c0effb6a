-- $1 seconds after its last renewal until a process counts as dead
SELECT id, service, host, version, started_at, last_seen
FROM instances
WHERE last_seen > now() - make_interval(secs => $1)
ORDER BY service, started_at, id
