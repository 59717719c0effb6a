-- $1 service, $2 seconds
SELECT id FROM instances WHERE service = $1 AND last_seen > now() - make_interval(secs => $2) ORDER BY id
