-- Removes at most $2 webhooks that were deleted more than $1 milliseconds ago, and everything that belongs to them. A
-- webhook whose deliveries are not closed yet stays.
WITH expired AS (
    SELECT id FROM webhooks
    WHERE status = 'deleted' AND deleted_at < now() - $1::bigint * interval '1 ms'
      AND settled_generation = generation
    ORDER BY deleted_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), streaks AS (
    DELETE FROM webhook_streaks WHERE webhook_id IN (SELECT id FROM expired)
), queued AS (
    DELETE FROM redeliveries WHERE webhook_id IN (SELECT id FROM expired)
), claims AS (
    DELETE FROM redelivery_claims WHERE webhook_id IN (SELECT id FROM expired)
), jobs AS (
    DELETE FROM redelivery_jobs WHERE webhook_id IN (SELECT id FROM expired)
)
DELETE FROM webhooks WHERE id IN (SELECT id FROM expired)
