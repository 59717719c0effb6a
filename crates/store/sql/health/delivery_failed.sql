-- A delivery ended failed without a further attempt: $1 webhook
INSERT INTO webhook_streaks AS s (webhook_id, failed_in_row) VALUES ($1, 1)
ON CONFLICT (webhook_id) DO UPDATE SET failed_in_row = s.failed_in_row + 1
