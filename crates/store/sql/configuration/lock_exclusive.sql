-- Locks the row that every change of the configuration updates (trigger stamp_config_version).
SELECT version FROM config_version FOR UPDATE
