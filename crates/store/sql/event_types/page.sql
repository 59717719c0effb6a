-- $1 the name after which the page begins, or empty; $2 limit
SELECT name, description, schema, enforce_schema, example, built_in, created, updated
FROM event_types
WHERE name > $1 AND removed_at IS NULL
ORDER BY name
LIMIT $2
