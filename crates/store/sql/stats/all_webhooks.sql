-- The attempts of all webhooks in time buckets: [$1, $2), $3 seconds of a bucket
-- Each bucket of durations is summed by its number, because an aggregate of arrays would call a function for each row.
SELECT date_bin(make_interval(secs => $3), slice, $1) AS at,
       sum(delivered)::bigint AS delivered, sum(http_status)::bigint AS http_status,
       sum(timeout)::bigint AS timeout, sum(dns)::bigint AS dns, sum(connect)::bigint AS connect,
       sum(tls)::bigint AS tls, sum(blocked)::bigint AS blocked, sum(protocol)::bigint AS protocol,
       sum(events_delivered)::bigint AS events_delivered, sum(events_failed)::bigint AS events_failed,
       ARRAY[
           sum(durations[1]), sum(durations[2]), sum(durations[3]), sum(durations[4]), sum(durations[5]),
           sum(durations[6]), sum(durations[7]), sum(durations[8]), sum(durations[9]), sum(durations[10]),
           sum(durations[11]), sum(durations[12]), sum(durations[13]), sum(durations[14]), sum(durations[15])
       ]::integer[] AS durations
FROM webhook_activity
WHERE slice >= $1 AND slice < $2
GROUP BY 1
ORDER BY 1
