-- Whether index $1 exists, and whether it is complete: an interrupted CREATE INDEX CONCURRENTLY leaves an invalid one.
SELECT x.indisvalid AS valid FROM pg_index x WHERE x.indexrelid = to_regclass($1)
