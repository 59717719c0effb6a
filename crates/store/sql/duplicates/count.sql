-- Counts that stored events were published again: $1 brands, $2 keys of event_keys, $3 how often, $4 the time before which
-- events have expired. A key outlives its event, whose day may have no partition any more. In the order of the primary
-- key, so that two routers cannot deadlock.
INSERT INTO event_duplicates AS d (event_id, brand_id, created, number)
SELECT k.event_id, q.brand_id, k.created, sum(q.number)
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS q(brand_id, key, number),
     LATERAL (
         SELECT event_id, created FROM event_keys
         WHERE brand_id = q.brand_id AND key = q.key AND created >= $4
         OFFSET 0
     ) AS k
GROUP BY k.event_id, q.brand_id, k.created
ORDER BY k.event_id, q.brand_id, k.created
ON CONFLICT (event_id, brand_id, created) DO UPDATE SET number = d.number + excluded.number
