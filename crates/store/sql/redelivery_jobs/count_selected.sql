-- Counts the deliveries that a job selects, among the first $7 of the range: $1 webhook, $2 from, $3 to, $4 a status other
-- than 'delivered', or null; $5 a status to filter by, or null; $6 a type or group to filter by, or null. The statement
-- is planned for these values, so that the planner uses the partial index deliveries_undelivered for $4 and the primary
-- key for null. It reads at most $7 rows and one more, which tells whether there are more.
SELECT count(*) FILTER (
           WHERE place <= $7
             AND ($5::text IS NULL OR status = $5)
             AND ($6::text IS NULL OR type = $6 OR starts_with(type, $6 || '.'))
       ) AS selected,
       count(*) > $7 AS more
FROM (
    SELECT status, type, row_number() OVER (ORDER BY created, event_id) AS place
    FROM (
        SELECT status, type, created, event_id
        FROM deliveries
        WHERE webhook_id = $1 AND ($4::text IS NULL OR status = $4) AND created >= $2 AND created < $3
        ORDER BY created, event_id
        LIMIT $7 + 1
    ) AS first_rows
) AS numbered
