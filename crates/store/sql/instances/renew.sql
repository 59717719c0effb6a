-- $1 id, $2 service, $3 host, $4 version
INSERT INTO instances (id, service, host, version) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET last_seen = now()
