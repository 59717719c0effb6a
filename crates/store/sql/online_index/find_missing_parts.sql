-- Partitions of table $1 without their part of index $2. The newest is first, because it takes the most writes.
SELECT c.relname::text AS partition
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass($1)
  AND NOT EXISTS (
      SELECT
      FROM pg_index x
      JOIN pg_inherits xi ON xi.inhrelid = x.indexrelid
      WHERE x.indrelid = c.oid AND xi.inhparent = to_regclass($2)
  )
ORDER BY c.relname DESC
