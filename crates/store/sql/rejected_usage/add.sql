-- Adds to today's usage of brands, one element each: $1 brands, $2 messages, $3 bytes, $4 dropped messages, $5 dropped
-- bytes. In the order of the brands, so that two routers do not deadlock.
INSERT INTO rejected_usage (day, brand_id, messages, bytes, dropped_messages, dropped_bytes)
SELECT (now() AT TIME ZONE 'UTC')::date, *
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS added (brand, a, b, c, d)
ORDER BY brand
ON CONFLICT (day, brand_id) DO UPDATE
SET messages = rejected_usage.messages + EXCLUDED.messages,
    bytes = rejected_usage.bytes + EXCLUDED.bytes,
    dropped_messages = rejected_usage.dropped_messages + EXCLUDED.dropped_messages,
    dropped_bytes = rejected_usage.dropped_bytes + EXCLUDED.dropped_bytes
