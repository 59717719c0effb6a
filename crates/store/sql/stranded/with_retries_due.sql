SELECT w.id FROM unnest($1::uuid[]) AS w (id) WHERE EXISTS (SELECT FROM deliveries WHERE webhook_id = w.id AND status = 'pending' AND next_attempt_at < $2)
