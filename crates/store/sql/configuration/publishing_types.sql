-- $1 known routing version. The API loads a schema when an event needs it.
SELECT name, removed_at IS NOT NULL AS removed, built_in, enforce_schema, routing_version
FROM event_types
WHERE routing_version > $1
