-- Event types whose name or description contains the text: $1 pattern, $2 limit
SELECT name, description FROM event_types
WHERE removed_at IS NULL AND (name ILIKE $1 OR description ILIKE $1)
ORDER BY name
LIMIT $2
