-- $1 id. Also deletes the rows of processes that have not renewed theirs for a day.
DELETE FROM instances WHERE id = $1 OR last_seen < now() - interval '1 day'
