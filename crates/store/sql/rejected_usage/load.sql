-- The usage since $1 days ago (UTC), by brand: at most $2 brands, those with the most bytes. Earlier versions left days
-- below zero, which would make room beyond the share.
SELECT brand_id, sum(greatest(messages, 0))::bigint AS messages, sum(greatest(bytes, 0))::bigint AS bytes,
       sum(dropped_messages)::bigint AS dropped_messages, sum(dropped_bytes)::bigint AS dropped_bytes
FROM rejected_usage
WHERE day >= (now() AT TIME ZONE 'UTC')::date - $1::integer
GROUP BY brand_id
ORDER BY 3 DESC, brand_id
LIMIT $2
