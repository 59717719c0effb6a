-- $1 id, $2 webhook, $3 trigger, $4 from, $5 to, $6 status or null, $7 type or group or null, ($8, $9) the position
-- before the first delivery, $10 the number of selected deliveries, $11 whether there are more. Fails if another job of
-- the webhook runs.
INSERT INTO redelivery_jobs (id, webhook_id, trigger, from_at, to_at, status, pattern, after_created, after_event, total,
                             total_is_least, runs_alone)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, true)
RETURNING id, webhook_id, trigger, from_at, to_at, status, pattern, total, total_is_least, queued, done, delivered, walked,
          stopped, created, updated
