-- What becomes of deliveries of ended generations: $1 webhook
SELECT generation, settle_as FROM webhooks WHERE id = $1
