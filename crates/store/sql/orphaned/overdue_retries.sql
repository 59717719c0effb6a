-- Deliveries of a webhook whose next attempt is overdue, the most overdue first: $1 webhook, $2 the instant from which it
-- is searched, $3 due before, $4 limit, $5 largest data. Deliveries in `redeliveries` are excluded, because they are
-- attempted from there. OFFSET 0 keeps the planner from reading whole tables for the look-ups.
SELECT due.created, due.event_id, due.brand_id, due.type, due.generation, due.round, due.attempts, due.round_base,
       due.first_attempt_at, due.next_attempt_at, e.data_bytes, e.data
FROM (
    SELECT *
    FROM deliveries d
    WHERE d.webhook_id = $1 AND d.status = 'pending' AND d.next_attempt_at >= $2 AND d.next_attempt_at < $3
      AND NOT EXISTS (
          SELECT
          FROM redeliveries r
          WHERE r.webhook_id = d.webhook_id AND r.created = d.created AND r.event_id = d.event_id
          OFFSET 0
      )
    ORDER BY d.next_attempt_at
    LIMIT $4
) AS due,
LATERAL (
    SELECT octet_length(data) AS data_bytes, CASE WHEN octet_length(data) <= $5 THEN data END AS data
    FROM events
    WHERE id = due.event_id AND brand_id = due.brand_id AND created = due.created
    OFFSET 0
) AS e
ORDER BY due.next_attempt_at
