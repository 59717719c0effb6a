-- Whether each partition of table $1 has a valid part of index $2. The flag of the parent index is no answer, because it
-- stays unset if the last partition without a part is dropped.
SELECT NOT EXISTS (
    SELECT
    FROM pg_inherits i
    WHERE i.inhparent = to_regclass($1)
      AND NOT EXISTS (
          SELECT
          FROM pg_index x
          JOIN pg_inherits xi ON xi.inhrelid = x.indexrelid
          WHERE x.indrelid = i.inhrelid AND xi.inhparent = to_regclass($2) AND x.indisvalid
      )
) AS complete
