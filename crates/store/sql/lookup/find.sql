-- Events of all brands with this id or message_id: $1 and $2 their keys of event_keys, the
-- second one nullable, $3 the id or null, $4 limit for each table, $5 the time
-- before which events have expired: keys outlive them. The keys are two parameters, so that the planner
-- knows their number and keeps one plan. An identity that was stored hides the messages with it that were not.
-- A message that was rejected under an id and is stored under another one, because it has only a message_id, is found by both.
SELECT DISTINCT ON (brand_id, id) brand_id, id, created, stored
FROM (
    (SELECT brand_id, event_id AS id, created, true AS stored FROM event_keys WHERE key = ANY (ARRAY[$1::text, $2::text]) AND created >= $5 LIMIT $4)
    UNION ALL
    (SELECT brand_id, id, created, true FROM events WHERE id = $3 AND created >= $5 LIMIT $4)
    UNION ALL
    (
        SELECT u.brand_id, k.event_id, k.created, true
        FROM unmatched_events u
        JOIN event_keys k ON k.brand_id = u.brand_id AND k.key = u.identity AND k.created >= $5
        WHERE u.id = $3
        LIMIT $4
    )
    UNION ALL
    (SELECT brand_id, id, created, false FROM unmatched_events WHERE identity = ANY (ARRAY[$1::text, $2::text]) LIMIT $4)
    UNION ALL
    (SELECT brand_id, id, created, false FROM unmatched_events WHERE id = $3 LIMIT $4)
) AS found
ORDER BY brand_id, id, stored DESC, created DESC
