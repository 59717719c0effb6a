-- Rows of a list for some events, in parallel arrays: $1 brands, $2 ids, $3 created, $4 whether they are stored
SELECT q.place, e.id AS event_id, e.created AS event_created, e.*
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::boolean[])
         WITH ORDINALITY AS q(brand_id, id, created, stored, place),
     LATERAL (
         (
             SELECT id, brand_id, created, received, type, key, test, NULL::text AS reason, NULL::text AS detail,
                    CASE WHEN data = '' THEN 'no_webhook' ELSE 'routed' END AS disposition
             FROM events
             WHERE q.stored AND id = q.id AND brand_id = q.brand_id AND created = q.created
             LIMIT 1
         )
         UNION ALL
         (
             SELECT id, brand_id, created, received, type, key, false, reason, detail,
                    CASE WHEN reason IS NULL THEN 'not_enabled' ELSE 'rejected' END
             FROM unmatched_events
             WHERE NOT q.stored AND id = q.id AND brand_id = q.brand_id AND created = q.created
             LIMIT 1
         )
     ) AS e
ORDER BY q.place
