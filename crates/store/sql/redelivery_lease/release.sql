-- Lets go of the claim on a webhook's redeliveries, if it is still held: $1 webhook, $2 holder
DELETE FROM redelivery_claims WHERE webhook_id = $1 AND holder = $2
