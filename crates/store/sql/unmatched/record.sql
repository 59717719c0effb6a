-- Records events that were matched with no webhook, in parallel arrays: $1 brands, $2 identities, $3 ids, $4 created, $5
-- types, $6 keys, $7 received, $8 reasons, $9 details, $10 how often each was published; $11 the time before
-- which events have expired. Each identity occurs once.
--
-- An identity that was stored before counts as published again, unless its event has expired: the partition of the event's
-- day may be gone, and then nothing can be counted for it. An identity that is recorded here already keeps its row,
-- which gets the newest reason, unless that row is more than a day older than the event: its reason is history by then, and
-- its partition need not be written. Each table is read by the identity; OFFSET 0 keeps the planner from reading all of it.
WITH batch AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[],
                $8::text[], $9::text[], $10::bigint[])
         WITH ORDINALITY AS q(brand_id, identity, id, created, type, key, received, reason, detail, number, place)
), stored AS (
    SELECT q.place, q.brand_id, q.number, k.event_id, k.created
    FROM batch q,
         LATERAL (
             SELECT event_id, created FROM event_keys
             WHERE brand_id = q.brand_id AND key = q.identity AND created >= $11
             OFFSET 0
         ) AS k
), counted AS (
    INSERT INTO event_duplicates AS d (event_id, brand_id, created, number)
    SELECT event_id, brand_id, created, sum(number) FROM stored
    WHERE number > 0
    GROUP BY event_id, brand_id, created
    ORDER BY event_id, brand_id, created
    ON CONFLICT (event_id, brand_id, created) DO UPDATE SET number = d.number + excluded.number
), known AS (
    SELECT q.*, u.id AS known_id, u.created AS known_created
    FROM batch q,
         LATERAL (
             SELECT id, created FROM unmatched_events
             WHERE identity = q.identity AND brand_id = q.brand_id AND created >= q.created - interval '1 day'
             ORDER BY created DESC
             LIMIT 1
         ) AS u
), repeated AS (
    UPDATE unmatched_events u
    SET type = k.type, key = k.key, reason = k.reason, detail = k.detail, again = u.again + k.number
    FROM known k
    WHERE u.id = k.known_id AND u.brand_id = k.brand_id AND u.created = k.known_created
      AND u.created = ANY (ARRAY(SELECT known_created FROM known))
)
INSERT INTO unmatched_events (id, brand_id, created, identity, type, key, received, reason, detail, again)
SELECT id, brand_id, created, identity, type, key, received, reason, detail, greatest(number - 1, 0)
FROM batch
WHERE (place IN (SELECT place FROM stored UNION ALL SELECT place FROM known)) IS NOT TRUE
ON CONFLICT DO NOTHING
