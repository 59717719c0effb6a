-- $1 known routing version
SELECT name, removed_at IS NOT NULL AS removed, CASE WHEN enforce_schema THEN schema::text END AS enforced_schema
FROM event_types
WHERE routing_version > $1
