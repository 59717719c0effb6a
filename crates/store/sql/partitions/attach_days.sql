-- Creates the missing daily partitions (UTC) of the table $1, from the oldest day of the retention to some days ahead,
-- by the database's clock: $2 retention in milliseconds, $3 days ahead. Returns the number of new partitions.
SELECT count(*) FILTER (WHERE attach_partition($1, $1 || to_char(day, '_YYYYMMDD'), bounds)) AS created
FROM generate_series(
         date_trunc('day', (now() - $2::bigint * interval '1 ms') AT TIME ZONE 'UTC'),
         date_trunc('day', now() AT TIME ZONE 'UTC') + $3::integer * interval '1 day',
         interval '1 day'
     ) AS day,
     format('FROM (%L) TO (%L)', day AT TIME ZONE 'UTC', (day + interval '1 day') AT TIME ZONE 'UTC') AS bounds
