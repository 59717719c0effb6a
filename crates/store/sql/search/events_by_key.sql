-- The newest events of all brands with the key $1: at most $2 of each brand, of at most $3 brands. The brands are found one
-- after another in the index, so that a brand with many events of the key does not hide the others.
WITH RECURSIVE brands_with AS (
    (
        SELECT brand_id, 1 AS number FROM (
            (SELECT brand_id FROM events WHERE key = $1 ORDER BY brand_id LIMIT 1)
            UNION ALL
            (SELECT brand_id FROM unmatched_events WHERE key = $1 ORDER BY brand_id LIMIT 1)
        ) AS first
        ORDER BY brand_id
        LIMIT 1
    )
    UNION ALL
    SELECT next.brand_id, b.number + 1
    FROM brands_with b,
         LATERAL (
             SELECT brand_id FROM (
                 (SELECT brand_id FROM events WHERE key = $1 AND brand_id > b.brand_id ORDER BY brand_id LIMIT 1)
                 UNION ALL
                 (
                     SELECT brand_id FROM unmatched_events WHERE key = $1 AND brand_id > b.brand_id
                     ORDER BY brand_id
                     LIMIT 1
                 )
             ) AS following
             ORDER BY brand_id
             LIMIT 1
         ) AS next
    WHERE b.number < $3
)
SELECT b.brand_id, e.id, e.created, e.stored
FROM brands_with b,
     LATERAL (
         (
             SELECT id, created, true AS stored FROM events
             WHERE key = $1 AND brand_id = b.brand_id
             ORDER BY created DESC, id DESC
             LIMIT $2
         )
         UNION ALL
         (
             SELECT id, created, false FROM unmatched_events
             WHERE key = $1 AND brand_id = b.brand_id
             ORDER BY created DESC, id DESC
             LIMIT $2
         )
     ) AS e
ORDER BY e.created DESC, e.id DESC
