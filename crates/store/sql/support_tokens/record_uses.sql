-- Records when support tokens were last used: $1 tokens, $2 times (parallel arrays). A time of less than 50 seconds ago stays, so
-- that many processes together write a token no more often than that. The tokens are locked in the order of their id, because
-- another order could deadlock; a token that another process writes is left to it.
WITH due AS MATERIALIZED (
    SELECT t.id, u.at
    FROM unnest($1::uuid[], $2::timestamptz[]) AS u(id, at)
    JOIN support_tokens t ON t.id = u.id AND (t.last_used IS NULL OR t.last_used < u.at - interval '50 seconds')
    ORDER BY t.id
    FOR UPDATE OF t SKIP LOCKED
)
UPDATE support_tokens t
SET last_used = due.at
FROM due
WHERE t.id = due.id
