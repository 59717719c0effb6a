-- $1 instance, $2 brands
INSERT INTO quota_shares (brand_id, instance)
SELECT brand_id, $1::uuid FROM unnest($2::text[]) AS brand_id
ON CONFLICT (brand_id, instance) DO UPDATE SET last_used = now()
