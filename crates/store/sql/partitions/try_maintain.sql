-- Takes the advisory lock $1 if no other session holds it.
SELECT pg_try_advisory_lock($1) AS locked
