-- Ends pending deliveries without an attempt: parallel arrays $1 webhooks, $2 created, $3 events, $4 rounds, $5 statuses,
-- without two entries of the same delivery. A delivery that ended, or began another round meanwhile, keeps its state.
-- Returns the places of the deliveries that ended now. One plan serves batches of any size: the last conditions are
-- redundant, so that every plan uses the index.
UPDATE deliveries d
SET status = q.status, next_attempt_at = NULL
FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::integer[], $5::text[])
     WITH ORDINALITY AS q(webhook_id, created, event_id, round, status, place)
WHERE d.webhook_id = q.webhook_id AND d.created = q.created AND d.event_id = q.event_id AND d.round = q.round
  AND d.status = 'pending'
  AND d.webhook_id = ANY ($1::uuid[]) AND d.created = ANY ($2::timestamptz[])
RETURNING q.place
