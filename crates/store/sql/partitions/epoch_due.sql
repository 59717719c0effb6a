-- The current epoch of event keys, and whether it has lasted $1 milliseconds by the database's clock.
SELECT current, began <= now() - $1::bigint * interval '1 ms' AS due FROM ingest_epoch
