-- An event that was matched with no webhook: $1 brand, $2 id, $3 created
SELECT u.type, u.key, u.received, u.reason, u.detail, u.again AS duplicates
FROM unmatched_events u
WHERE u.id = $2 AND u.brand_id = $1 AND u.created = $3
LIMIT 1
