-- The webhooks of a brand with their part in an event: $1 brand, $2 event, $3 its created, $4 the version that it was
-- matched against or null, $5 when it was received, for events without the version, $6 whether to list deleted webhooks,
-- too, $7 the most webhooks, of which deleted ones come last. Each row is looked up by a key; LIMIT keeps the planner from reading whole tables.
SELECT w.id, w.endpoint, w.description, w.status, w.disabled_reason, w.events, w.created, w.generation, w.settle_as,
       w.max_concurrency, w.rate_per_second,
       v.status AS status_then, v.events AS events_then,
       d.status AS delivery_status, d.generation AS delivery_generation, d.round, d.attempts, d.last_attempt_at,
       d.next_attempt_at, d.last_error, r.queued_at
FROM (
    SELECT * FROM webhooks
    WHERE brand_id = $1 AND (status <> 'deleted' OR $6::boolean)
    ORDER BY (status = 'deleted'), created DESC, id DESC
    LIMIT $7
) AS w
LEFT JOIN LATERAL (
    SELECT status, events FROM webhook_versions
    WHERE webhook_id = w.id
      AND ($4::bigint IS NULL OR routing_version <= $4) AND ($4::bigint IS NOT NULL OR began <= $5::timestamptz)
    ORDER BY routing_version DESC
    LIMIT 1
) AS v ON true
LEFT JOIN LATERAL (
    SELECT * FROM deliveries
    WHERE webhook_id = w.id AND created = $3 AND event_id = $2
    LIMIT 1
) AS d ON true
LEFT JOIN LATERAL (
    SELECT queued_at FROM redeliveries
    WHERE webhook_id = w.id AND created = $3 AND event_id = $2
    LIMIT 1
) AS r ON true
WHERE w.status <> 'deleted' OR d.status IS NOT NULL
ORDER BY w.created, w.id
