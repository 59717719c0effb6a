-- $1 event type
SELECT schema::text AS schema, routing_version
FROM event_types
WHERE name = $1 AND enforce_schema AND removed_at IS NULL
