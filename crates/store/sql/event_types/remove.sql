-- $1 name
UPDATE event_types
SET removed_at = now(), updated = now()
WHERE name = $1 AND removed_at IS NULL AND NOT built_in
RETURNING name
