SELECT name FROM event_types WHERE removed_at IS NULL
