-- Claims or extends the lease on a webhook's redeliveries: $1 webhook, $2 holder, $3 seconds. Returns no row when
-- another holder has it. Only the database's clock counts.
INSERT INTO redelivery_claims AS c (webhook_id, holder, until)
VALUES ($1, $2, now() + make_interval(secs => $3))
ON CONFLICT (webhook_id) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE c.holder = excluded.holder OR c.until < now()
RETURNING webhook_id
