-- The usage since $1 days ago (UTC), by brand: at most $2 brands, those with the most bytes.
SELECT brand_id, sum(messages)::bigint AS messages, sum(bytes)::bigint AS bytes,
       sum(dropped_messages)::bigint AS dropped_messages, sum(dropped_bytes)::bigint AS dropped_bytes
FROM rejected_usage
WHERE day >= (now() AT TIME ZONE 'UTC')::date - $1::integer
GROUP BY brand_id
ORDER BY 3 DESC, brand_id
LIMIT $2
