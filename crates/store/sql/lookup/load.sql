-- A stored event: $1 brand, $2 id, $3 created. NULL where the row is missing, because a router of the release before
-- keeps only the key of an event without webhooks.
SELECT e.type, e.data, e.test, e.received, e.key, e.routing_version, coalesce(d.number, 0) AS duplicates
FROM (VALUES (1)) AS one
LEFT JOIN LATERAL (
    SELECT type, data, test, received, key, routing_version FROM events
    WHERE id = $2 AND brand_id = $1 AND created = $3
    LIMIT 1
) AS e ON true
LEFT JOIN LATERAL (
    SELECT number FROM event_duplicates
    WHERE event_id = $2 AND brand_id = $1 AND created = $3
    LIMIT 1
) AS d ON true
