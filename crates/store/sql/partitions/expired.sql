-- Daily partitions whose last instant is before $1.
SELECT c.relname::text
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent IN ('events'::regclass, 'deliveries'::regclass, 'attempts'::regclass, 'webhook_activity'::regclass)
  AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= $1
ORDER BY 1
