-- Deletes the shares of quotas that no API process has used for a day.
DELETE FROM quota_shares WHERE last_used < now() - interval '1 day'
