-- $1 the name that the page comes after, or empty; $2 how many
SELECT name, description, schema, enforce_schema, example, built_in, created, updated
FROM event_types
WHERE name > $1 AND removed_at IS NULL
ORDER BY name
LIMIT $2
