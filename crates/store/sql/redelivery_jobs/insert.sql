-- $1 id, $2 webhook, $3 trigger, $4 from, $5 to, $6 status or null, $7 type or group or null, ($8, $9) the position
-- before the first delivery. The total is the current number of selected deliveries.
INSERT INTO redelivery_jobs (id, webhook_id, trigger, from_at, to_at, status, pattern, after_created, after_event, total)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,
       (SELECT count(*) FROM deliveries
        WHERE webhook_id = $2 AND created >= $4 AND created < $5
          AND ($6::text IS NULL OR status = $6)
          AND ($7::text IS NULL OR type = $7 OR starts_with(type, $7 || '.')))
RETURNING id, webhook_id, trigger, from_at, to_at, status, pattern, total, queued, done, delivered, walked,
          stopped, created, updated
