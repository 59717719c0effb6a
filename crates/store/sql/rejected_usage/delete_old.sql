-- Deletes the usage of days that are more than $1 days ago (UTC).
DELETE FROM rejected_usage WHERE day < (now() AT TIME ZONE 'UTC')::date - $1::integer
