-- Whether this session is the one that maintains now: $1 lock
SELECT pg_try_advisory_lock($1) AS locked
