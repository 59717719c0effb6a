-- The next redeliveries of a webhook: $1 webhook, $2 the instant from which the queue is read, $3 limit, $4 largest data.
-- Single redeliveries go before redeliveries of a job. Each kind is read in the order of an index of its own. An expired
-- delivery has no size. The subqueries have a LIMIT, so that no plan joins the whole tables.
SELECT r.created, r.event_id, r.round, r.trigger, r.of_job, r.queued_at, d.brand_id, d.type, d.generation, d.round_base,
       e.data_bytes, e.data
FROM (
    (
        SELECT webhook_id, created, event_id, round, trigger, queued_at, false AS of_job
        FROM redeliveries
        WHERE webhook_id = $1 AND job_id IS NULL AND queued_at >= $2
        ORDER BY queued_at, created, event_id
        LIMIT $3
    )
    UNION ALL
    (
        SELECT webhook_id, created, event_id, round, trigger, queued_at, true AS of_job
        FROM redeliveries
        WHERE webhook_id = $1 AND job_id IS NOT NULL AND queued_at >= $2
        ORDER BY queued_at, created, event_id
        LIMIT $3
    )
    ORDER BY of_job, queued_at, created, event_id
    LIMIT $3
) AS r
LEFT JOIN LATERAL (
    SELECT brand_id, type, generation, round_base FROM deliveries
    WHERE webhook_id = r.webhook_id AND created = r.created AND event_id = r.event_id
    LIMIT 1
) AS d ON true
LEFT JOIN LATERAL (
    SELECT octet_length(data) AS data_bytes, CASE WHEN octet_length(data) <= $4 THEN data END AS data
    FROM events
    WHERE id = r.event_id AND brand_id = d.brand_id AND created = r.created
    LIMIT 1
) AS e ON true
ORDER BY r.of_job, r.queued_at, r.created, r.event_id
