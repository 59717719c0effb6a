-- The next redeliveries of a webhook: $1 webhook, $2 limit, $3 largest data. Single redeliveries go before redeliveries
-- of a job. An expired delivery has no size. The subqueries have a LIMIT, so that no plan joins the whole tables.
SELECT r.created, r.event_id, r.round, r.trigger, d.brand_id, d.type, d.generation, d.round_base,
       e.data_bytes, e.data
FROM (
    SELECT * FROM redeliveries
    WHERE webhook_id = $1
    ORDER BY (job_id IS NOT NULL), queued_at, created, event_id
    LIMIT $2
) AS r
LEFT JOIN LATERAL (
    SELECT brand_id, type, generation, round_base FROM deliveries
    WHERE webhook_id = r.webhook_id AND created = r.created AND event_id = r.event_id
    LIMIT 1
) AS d ON true
LEFT JOIN LATERAL (
    SELECT octet_length(data) AS data_bytes, CASE WHEN octet_length(data) <= $3 THEN data END AS data
    FROM events
    WHERE id = r.event_id AND brand_id = d.brand_id AND created = r.created
    LIMIT 1
) AS e ON true
ORDER BY (r.job_id IS NOT NULL), r.queued_at, r.created, r.event_id
