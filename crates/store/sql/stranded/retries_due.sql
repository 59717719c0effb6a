SELECT d.created, d.event_id, d.brand_id, d.type, d.generation, d.round, d.attempts, d.round_base,
       d.first_attempt_at, d.next_attempt_at, e.data
FROM deliveries d
JOIN events e ON e.id = d.event_id AND e.brand_id = d.brand_id AND e.created = d.created
WHERE d.webhook_id = $1 AND d.status = 'pending' AND d.next_attempt_at < $2
ORDER BY d.next_attempt_at
LIMIT $3
