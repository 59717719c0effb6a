-- The partitions of event_keys that are more than $1 epochs older than the current epoch, the oldest first.
SELECT partition
FROM (
    SELECT c.relname::text AS partition, (regexp_match(c.relname, '_e(\d+)$'))[1]::integer AS epoch
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'event_keys'::regclass AND NOT i.inhdetachpending
) AS epochs
WHERE (SELECT current FROM ingest_epoch) - epoch > $1::integer
ORDER BY epoch
