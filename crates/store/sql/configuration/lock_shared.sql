-- Blocks every change of the configuration until the transaction ends, because each change updates this row.
SELECT routing FROM config_version FOR SHARE
