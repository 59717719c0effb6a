-- The data of events, each with its place in the arrays: $1 ids, $2 brands, $3 created.
-- Each event is found by its key. OFFSET 0 keeps the planner from reading all events instead.
SELECT q.place, e.data
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS q(id, brand_id, created, place),
     LATERAL (
         SELECT data FROM events
         WHERE id = q.id AND brand_id = q.brand_id AND created = q.created
         OFFSET 0
     ) AS e
