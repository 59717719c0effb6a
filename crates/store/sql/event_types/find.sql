-- $1 name
SELECT name, description, schema, enforce_schema, example, built_in, created, updated
FROM event_types
WHERE name = $1 AND removed_at IS NULL
