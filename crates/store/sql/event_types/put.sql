-- $1 name, $2 description, $3 schema, $4 whether the schema is enforced, $5 example.
-- A removed type that is restored gets a new creation time. Returns no row when the type is built in.
INSERT INTO event_types AS t (name, description, schema, enforce_schema, example)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE
SET description = excluded.description, schema = excluded.schema, enforce_schema = excluded.enforce_schema,
    example = excluded.example, updated = now(), removed_at = NULL,
    created = CASE WHEN t.removed_at IS NULL THEN t.created ELSE now() END
WHERE NOT t.built_in
RETURNING name, description, schema, enforce_schema, example, built_in, created, updated
