SELECT current, began FROM ingest_epoch
