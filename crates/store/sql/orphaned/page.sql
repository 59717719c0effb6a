-- Deliveries of a webhook whose message should be in its queue: $1 webhook, $2 due before, $3 and $4 the last delivery
-- of the previous page, $5 limit, $6 largest data. Redeliveries are excluded, because they are attempted from their
-- table.
SELECT d.created, d.event_id, d.brand_id, d.type, d.generation, d.round, d.attempts, d.round_base,
       d.first_attempt_at, d.next_attempt_at, octet_length(e.data) AS data_bytes,
       CASE WHEN octet_length(e.data) <= $6 THEN e.data END AS data
FROM deliveries d
JOIN events e ON e.id = d.event_id AND e.brand_id = d.brand_id AND e.created = d.created
WHERE d.webhook_id = $1 AND d.status = 'pending' AND coalesce(d.next_attempt_at, d.created) < $2
  AND (d.created, d.event_id) > ($3, $4)
  AND NOT EXISTS (
      SELECT FROM redeliveries r
      WHERE r.webhook_id = d.webhook_id AND r.created = d.created AND r.event_id = d.event_id
  )
ORDER BY d.created, d.event_id
LIMIT $5
