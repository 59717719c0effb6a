-- Daily partitions that hold nothing younger than $1 milliseconds, by the database's clock, the oldest first.
SELECT i.inhparent::regclass::text AS parent, c.relname::text AS partition
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent IN ('events'::regclass, 'deliveries'::regclass, 'attempts'::regclass, 'webhook_activity'::regclass,
                       'unmatched_events'::regclass, 'event_duplicates'::regclass)
  AND NOT i.inhdetachpending
  AND CASE WHEN c.relname ~ '_\d{8}$'
      THEN (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= now() - $1::bigint * interval '1 ms'
      END
ORDER BY right(c.relname, 8), 1
