-- $1 version known
SELECT name, removed_at IS NOT NULL AS removed FROM event_types WHERE version > $1
