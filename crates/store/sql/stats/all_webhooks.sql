-- The attempts of all webhooks in time buckets: [$1, $2), $3 seconds of a bucket
SELECT date_bin(make_interval(secs => $3), slice, $1) AS at,
       sum(delivered)::bigint AS delivered, sum(http_status)::bigint AS http_status,
       sum(timeout)::bigint AS timeout, sum(dns)::bigint AS dns, sum(connect)::bigint AS connect,
       sum(tls)::bigint AS tls, sum(blocked)::bigint AS blocked, sum(protocol)::bigint AS protocol,
       sum_counts(durations) AS durations
FROM webhook_activity
WHERE slice >= $1 AND slice < $2
GROUP BY 1
ORDER BY 1
