-- The events of a brand, newest first: $1 brand; from $2 on, before ($3, $4); $5 a key or null, $6 a type or group or null,
-- $7 a disposition or null; $8 limit, $9 the most rows that are read; $10 the time before which events have
-- expired, whose keys say nothing about later events. The statement is planned for these values, so that
-- the planner uses the index by key or by brand, and leaves out the table that cannot have the disposition. It reads both
-- tables in the order of their indexes. The row `scanned` has the number of rows that were read, and the last of them.
WITH scanned AS MATERIALIZED (
    SELECT *
    FROM (
        (
            SELECT id, created, received, type, key, test, NULL::text AS identity, NULL::text AS reason,
                   NULL::text AS detail, CASE WHEN data = '' THEN 'no_webhook' ELSE 'routed' END AS disposition
            FROM events
            WHERE brand_id = $1 AND ($5::text IS NULL OR key = $5)
              AND ($7::text IS NULL OR $7 IN ('routed', 'no_webhook'))
              AND created >= $2 AND created <= $3 AND (created, id) < ($3, $4)
            ORDER BY created DESC, id DESC
            LIMIT $9
        )
        UNION ALL
        (
            SELECT id, created, received, type, key, false, identity, reason, detail,
                   CASE WHEN reason IS NULL THEN 'not_enabled' ELSE 'rejected' END
            FROM unmatched_events
            WHERE brand_id = $1 AND ($5::text IS NULL OR key = $5)
              AND ($7::text IS NULL OR $7 IN ('not_enabled', 'rejected'))
              AND created >= $2 AND created <= $3 AND (created, id) < ($3, $4)
            ORDER BY created DESC, id DESC
            LIMIT $9
        )
    ) AS both_tables
    ORDER BY created DESC, id DESC
    LIMIT $9
), page AS (
    SELECT s.*, EXISTS (
        SELECT FROM event_keys WHERE brand_id = $1 AND key = s.identity AND created >= $10 OFFSET 0
    ) AS republished
    FROM (
        SELECT * FROM scanned
        WHERE ($6::text IS NULL OR type = $6 OR starts_with(type, $6 || '.'))
          AND ($7::text IS NULL OR disposition = $7)
        ORDER BY created DESC, id DESC
        LIMIT $8
    ) AS s
)
SELECT e.number AS scanned, e.created AS end_created, e.id AS end_id, p.*
FROM (
    SELECT count(*) OVER () AS number, created, id FROM scanned
    ORDER BY created, id
    LIMIT 1
) AS e
LEFT JOIN (
    SELECT id AS event_id, created AS event_created, received, type, key, test, reason, detail, disposition, republished
    FROM page
) AS p ON true
ORDER BY p.event_created DESC, p.event_id DESC
