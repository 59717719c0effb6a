-- Stores a batch of events in one statement, if the configuration that they were matched against is still current. $1
-- routing version; $2–$7, $12 (received) and $13 (key, or null) the events in parallel arrays; $8–$11 their deliveries, by
-- the event's place in the batch (from 1). Every new event gets a row, without data if it has no delivery. Returns
-- the current version, and the places of the events that are not duplicates. Nothing is written when the versions differ.
--
-- Keys are looked up one by one in the index. OFFSET 0 keeps the planner from comparing the batch with all stored keys,
-- which is cheaper only while the table is small. IS TRUE makes the planner use a hashed look-up instead of comparing
-- each row with each other row, as long as it expects the hash to fit into work_mem. Tables of one row are therefore
-- read in a subquery and never joined: they have no statistics, and the planner assumes two thousand rows. The data is
-- read from the parameter where it is stored, because intermediate results that contain long data would spill to disk.
WITH config AS (
    SELECT routing AS version FROM config_version
), batch AS (
    SELECT q.*
    FROM unnest($2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::text[], $12::timestamptz[], $13::text[])
         WITH ORDINALITY AS q(brand_id, key, id, created, type, received, search_key, place)
    WHERE (SELECT version FROM config) = $1
), fresh AS (
    INSERT INTO event_keys (brand_id, key, epoch, event_id, created)
    SELECT b.brand_id, b.key, (SELECT current FROM ingest_epoch), b.id, b.created
    FROM batch b
    WHERE NOT EXISTS (SELECT FROM event_keys k WHERE k.brand_id = b.brand_id AND k.key = b.key OFFSET 0)
    ON CONFLICT DO NOTHING
    RETURNING brand_id, key
), taken AS (
    SELECT b.* FROM batch b WHERE ((b.brand_id, b.key) IN (SELECT brand_id, key FROM fresh)) IS TRUE
), wanted AS (
    SELECT * FROM unnest($8::bigint[], $9::uuid[], $10::integer[], $11::text[]) AS w(place, webhook_id, generation, status)
), stored AS (
    INSERT INTO events (id, brand_id, created, type, data, received, routing_version, key)
    SELECT t.id, t.brand_id, t.created, t.type, ($7::text[])[t.place::integer], t.received, $1, t.search_key
    FROM taken t
    ON CONFLICT DO NOTHING
), owed AS (
    INSERT INTO deliveries (webhook_id, created, event_id, brand_id, type, generation, status)
    SELECT w.webhook_id, t.created, t.id, t.brand_id, t.type, w.generation, w.status
    FROM taken t JOIN wanted w USING (place)
    ON CONFLICT DO NOTHING
)
SELECT (SELECT version FROM config) AS version,
       ARRAY(SELECT place FROM taken) AS fresh
