-- Detached tables that are marked to be dropped: $1 the comment that marks them
SELECT c.oid::regclass::text AS partition
FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND d.description = $1::text
  AND c.relkind = 'r' AND NOT c.relispartition
