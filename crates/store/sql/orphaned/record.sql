-- Makes deliveries due, so that they are attempted from the database: $1 webhooks, $2 created, $3 events (parallel
-- arrays). A planned next attempt keeps its time. The last conditions are redundant, so that every plan uses the index.
UPDATE deliveries d
SET next_attempt_at = now()
FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) AS k(webhook_id, created, event_id)
WHERE d.webhook_id = k.webhook_id AND d.created = k.created AND d.event_id = k.event_id
  AND d.status = 'pending' AND d.next_attempt_at IS NULL
  AND d.webhook_id = ANY ($1::uuid[]) AND d.created = ANY ($2::timestamptz[])
