-- Creates the partition of event_keys for an epoch, unless it exists: $1 epoch
SELECT attach_partition('event_keys', 'event_keys_e' || $1::integer, format('IN (%s)', $1::integer)) AS created
