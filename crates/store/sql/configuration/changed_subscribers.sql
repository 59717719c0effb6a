-- $1 known routing version
SELECT DISTINCT brand_id FROM webhooks WHERE routing_version > $1
