-- The process with the longest retention among those seen within $1 milliseconds, unless none says how long that is.
SELECT retention_ms, service, host
FROM instances
WHERE last_seen > now() - $1::bigint * interval '1 ms' AND retention_ms IS NOT NULL
ORDER BY retention_ms DESC
LIMIT 1
