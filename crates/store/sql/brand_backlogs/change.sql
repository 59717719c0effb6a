-- Rows are locked in the order of the brands, so that two routers cannot deadlock.
WITH changes AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS change (brand_id, events, bytes)
), locked AS (
    SELECT brand_id
    FROM brand_backlogs
    WHERE brand_id = ANY ($1)
    ORDER BY brand_id
    FOR UPDATE
)
UPDATE brand_backlogs AS backlog
SET since = CASE WHEN backlog.waiting_events = 0 THEN now() ELSE backlog.since END,
    waiting_events = greatest(0, backlog.waiting_events + changes.events),
    waiting_bytes = greatest(0, backlog.waiting_bytes + changes.bytes)
FROM locked
JOIN changes USING (brand_id)
WHERE backlog.brand_id = locked.brand_id
