-- $1 lock, $2 first day, $3 last day; the number of partitions made
SELECT make_day_partitions($2, $3) FROM (SELECT pg_advisory_xact_lock($1)) AS locked
