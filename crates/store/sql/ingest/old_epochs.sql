-- The partitions of event_keys, oldest first, without the current one.
SELECT c.relname::text, (regexp_match(c.relname, '_e(\d+)$'))[1]::integer AS epoch
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event_keys'::regclass
ORDER BY epoch
