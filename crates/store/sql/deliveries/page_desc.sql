-- Get Events, newest first: the deliveries of a webhook with their events. $1 webhook; after ($2, $3) up to ($4, $5);
-- $6 a status other than 'delivered', or null; $7 a status to filter by, or null; $8 a type or group to filter by, or
-- null; $9 limit, $10 offset, $11 maximum number of rows to scan, $12 maximum bytes of data. The statement is planned
-- for these values, so that the planner uses the partial index deliveries_undelivered for $6 and the primary key for
-- null. It reads either in order, and at most $11 rows. The event of each row is looked up in a subquery with a LIMIT,
-- so that no plan joins the whole tables. $13 an outcome and $14 a status code of the last attempt to filter by, or null.
-- The last attempt of each row is looked up by its key, and only if one of them is given.
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
          AND (
              ($13::text IS NULL AND $14::integer IS NULL)
              OR EXISTS (
                  SELECT
                  FROM (
                      SELECT outcome, status_code FROM attempts
                      WHERE webhook_id = $1 AND created = scanned.created AND event_id = scanned.event_id
                      ORDER BY webhook_id DESC, created DESC, event_id DESC, attempt_id DESC
                      LIMIT 1
                  ) AS last_attempt
                  WHERE ($13::text IS NULL OR outcome = $13) AND ($14::integer IS NULL OR status_code = $14)
              )
          )
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
