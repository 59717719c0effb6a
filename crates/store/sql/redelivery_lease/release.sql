-- Releases the lease on a webhook's redeliveries, if the holder still has it: $1 webhook, $2 holder
DELETE FROM redelivery_claims WHERE webhook_id = $1 AND holder = $2
