-- Takes messages that left the queue from the usage of brands since $1 days ago (UTC), one element each: $2 brands, $3
-- messages, $4 bytes. The oldest day gives first, because the rest of its usage would be free soonest anyway, and no day
-- falls below zero. Locks in the order of the brands, so that two callers do not deadlock.
WITH freed AS (
    SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS freed (brand_id, messages, bytes)
), locked AS (
    SELECT day, brand_id, greatest(messages, 0) AS messages, greatest(bytes, 0) AS bytes
    FROM rejected_usage
    WHERE day >= (now() AT TIME ZONE 'UTC')::date - $1::integer AND brand_id = ANY ($2::text[])
    ORDER BY brand_id, day
    FOR UPDATE
), older AS (
    SELECT day, brand_id, messages, bytes,
           sum(messages) OVER (PARTITION BY brand_id ORDER BY day) - messages AS older_messages,
           sum(bytes) OVER (PARTITION BY brand_id ORDER BY day) - bytes AS older_bytes
    FROM locked
)
UPDATE rejected_usage AS usage
SET messages = older.messages - least(older.messages, greatest(freed.messages - older.older_messages, 0)),
    bytes = older.bytes - least(older.bytes, greatest(freed.bytes - older.older_bytes, 0))
FROM older JOIN freed USING (brand_id)
WHERE usage.day = older.day AND usage.brand_id = older.brand_id
