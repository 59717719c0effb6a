-- Get Events, newest first: the deliveries of a webhook with their events.
-- $1 webhook; after ($2, $3) up to ($4, $5); $6 a status that is not 'delivered', or null;
-- $7 a status to sift by, or null; $8 a type or group to sift by, or null;
-- $9 how many after skipping $10; $11 rows looked through at most; $12 bytes of data at most.
-- Planned anew with these values, so that $6 leads to the partial index deliveries_undelivered and
-- null to the primary key: either is read in order, no further than $11 rows. The event is looked up
-- for each row of the page: with a LIMIT inside, no plan joins the whole tables.
SELECT *
FROM (
    SELECT p.*, coalesce(e.data, 'null') AS data,
           sum(octet_length(e.data)) OVER (ORDER BY p.created DESC, p.event_id DESC) AS bytes
    FROM (
        SELECT *
        FROM (
            SELECT event_id, brand_id, created, type, test, status, attempts,
                   last_attempt_at, next_attempt_at, last_error
            FROM deliveries
            WHERE webhook_id = $1 AND ($6::text IS NULL OR status = $6)
              AND created >= $2 AND created <= $4
              AND (created, event_id) > ($2, $3) AND (created, event_id) <= ($4, $5)
            ORDER BY created DESC, event_id DESC
            LIMIT $11
        ) AS scanned
        WHERE ($7::text IS NULL OR status = $7)
          AND ($8::text IS NULL OR type = $8 OR starts_with(type, $8 || '.'))
        ORDER BY created DESC, event_id DESC
        LIMIT $9 OFFSET $10
    ) AS p
    LEFT JOIN LATERAL (
        SELECT data FROM events
        WHERE id = p.event_id AND brand_id = p.brand_id AND created = p.created
        LIMIT 1
    ) AS e ON true
) AS page
WHERE bytes IS NULL OR bytes - octet_length(data) < $12
ORDER BY created DESC, event_id DESC
