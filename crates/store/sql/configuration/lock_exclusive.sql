-- The row that every change of the configuration updates (the trigger stamp_config_version).
SELECT version FROM config_version FOR UPDATE
