-- Deletes the rows of processes that have not renewed theirs for a day, because a killed process does not leave.
DELETE FROM instances WHERE last_seen < now() - interval '1 day'
