-- $1 id, $2 service, $3 host, $4 version, $5 retention in milliseconds
INSERT INTO instances (id, service, host, version, retention_ms, opens_headers) VALUES ($1, $2, $3, $4, $5, true)
ON CONFLICT (id) DO UPDATE SET last_seen = now()
