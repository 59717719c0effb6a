-- Partitions whose detaching was interrupted.
SELECT inhparent::regclass::text AS parent, inhrelid::regclass::text AS partition
FROM pg_inherits
WHERE inhparent IN ('events'::regclass, 'deliveries'::regclass, 'attempts'::regclass, 'webhook_activity'::regclass,
                       'unmatched_events'::regclass, 'event_duplicates'::regclass, 'event_keys'::regclass)
  AND inhdetachpending
