-- Takes the advisory lock $1 until the transaction ends, if no other transaction holds it.
SELECT pg_try_advisory_xact_lock($1) AS is_taken
