-- $1 milliseconds after which a share ends. SKIP LOCKED, because another process may be deleting or renewing the rows.
DELETE FROM quota_shares
WHERE (brand_id, instance) IN (
    SELECT brand_id, instance
    FROM quota_shares
    WHERE last_used < now() - $1::bigint * interval '1 ms'
    FOR UPDATE SKIP LOCKED
)
