-- $1 id; and whatever was forgotten a day ago
DELETE FROM instances WHERE id = $1 OR last_seen < now() - interval '1 day'
