-- The deliveries of a webhook for these events: $1 webhook, $2 brand, $3 events. Each is looked up by its key.
SELECT k.id AS event_id, found.created
FROM unnest($3::uuid[]) AS k(id), LATERAL (
    SELECT e.created
    FROM events e
    JOIN deliveries d ON d.webhook_id = $1 AND d.created = e.created AND d.event_id = e.id
    WHERE e.id = k.id AND e.brand_id = $2
    LIMIT 1
) AS found
