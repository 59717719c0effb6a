-- The status that pending deliveries of ended generations get: $1 webhook
SELECT generation, settle_as FROM webhooks WHERE id = $1
