-- What an event that was taken before still owes: $1 brand, $2 key.
-- A router that died between storing and publishing leaves such rows.
SELECT k.event_id, k.created, d.webhook_id, d.generation
FROM event_keys k
JOIN webhooks w ON w.brand_id = k.brand_id
JOIN deliveries d ON d.webhook_id = w.id AND d.created = k.created AND d.event_id = k.event_id
WHERE k.brand_id = $1 AND k.key = $2
  AND d.status = 'pending' AND d.attempts = 0 AND d.round = 1
