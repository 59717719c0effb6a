-- The running jobs, the newest first: ($1, $2) the position before which the page begins, $3 a webhook or null, $4 a brand
-- or null, $5 limit. The subquery has an OFFSET, so that the planner takes the index of the running jobs and does not look
-- for them among all jobs in the order of the list.
SELECT j.id, j.webhook_id, w.brand_id, j.trigger, j.from_at, j.to_at, j.status, j.pattern, j.total, j.total_is_least,
       j.queued, j.done, j.delivered, j.walked, j.created, j.updated, j.actor, 'running' AS state
FROM (
    SELECT *
    FROM redelivery_jobs
    WHERE NOT stopped AND (NOT walked OR done < queued) AND ($3::uuid IS NULL OR webhook_id = $3)
    OFFSET 0
) AS j
JOIN webhooks w ON w.id = j.webhook_id
WHERE (j.created, j.id) < ($1, $2) AND ($4::text IS NULL OR w.brand_id = $4)
ORDER BY j.created DESC, j.id DESC
LIMIT $5
