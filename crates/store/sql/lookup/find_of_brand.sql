-- Events of the brand $1 with this id or message_id: $2 and $3 their keys of event_keys, the
-- second one nullable, $4 the id or null, $5 limit for each table, $6 the time
-- before which events have expired: keys outlive them. A message that was rejected under an id and is stored under
-- another one, because it has only a message_id, is found by both.
SELECT DISTINCT ON (brand_id, id) brand_id, id, created, stored
FROM (
    (
        SELECT brand_id, event_id AS id, created, true AS stored FROM event_keys
        WHERE brand_id = $1 AND key = ANY (ARRAY[$2::text, $3::text]) AND created >= $6
        LIMIT $5
    )
    UNION ALL
    (SELECT brand_id, id, created, true FROM events WHERE id = $4 AND brand_id = $1 AND created >= $6 LIMIT $5)
    UNION ALL
    (
        SELECT u.brand_id, k.event_id, k.created, true
        FROM unmatched_events u
        JOIN event_keys k ON k.brand_id = u.brand_id AND k.key = u.identity AND k.created >= $6
        WHERE u.id = $4 AND u.brand_id = $1
        LIMIT $5
    )
    UNION ALL
    (
        SELECT brand_id, id, created, false FROM unmatched_events
        WHERE identity = ANY (ARRAY[$2::text, $3::text]) AND brand_id = $1
        LIMIT $5
    )
    UNION ALL
    (SELECT brand_id, id, created, false FROM unmatched_events WHERE id = $4 AND brand_id = $1 LIMIT $5)
) AS found
ORDER BY brand_id, id, stored DESC, created DESC
