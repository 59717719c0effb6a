-- $1 id, $2 webhook, $3 trigger, $4 from, $5 to, $6 status or null, $7 type or group or null, ($8, $9) the position
-- before the first delivery, $10 the number of selected deliveries, $11 whether there are more, $12 whether the deliveries
-- are queued at once instead of page by page, $13 who asked for it. Fails if another job of the webhook runs.
INSERT INTO redelivery_jobs AS j (id, webhook_id, trigger, from_at, to_at, status, pattern, after_created, after_event, total,
                                  total_is_least, walked, actor, runs_alone)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true)
RETURNING id, webhook_id, (SELECT w.brand_id FROM webhooks w WHERE w.id = j.webhook_id) AS brand_id, trigger, from_at, to_at, status,
          pattern, total, total_is_least, queued, done, delivered, walked, created, updated, actor,
          CASE WHEN cancelled THEN 'cancelled' WHEN stopped THEN 'stopped' WHEN walked AND done >= queued THEN 'finished'
               ELSE 'running' END AS state
