-- The process with the longest retention among the processes that renewed their row within $1 milliseconds. Processes
-- of an older release store no retention.
SELECT retention_ms, service, host
FROM instances
WHERE last_seen > now() - $1::bigint * interval '1 ms' AND retention_ms IS NOT NULL
ORDER BY retention_ms DESC
LIMIT 1
