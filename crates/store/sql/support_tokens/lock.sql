-- Blocks other creations of a support token until the transaction ends: $1 lock. An advisory lock, because a lock on the table
-- would also block the recording of uses.
SELECT pg_advisory_xact_lock($1)
