-- Commits a WAL record that is flushed like any other, and that a synchronous standby must confirm. It needs no table.
-- (PostgreSQL does not flush a transaction that only got an id.) A standby refuses to write the record, and a server that is
-- read-only would write it. The answer includes the time.
SELECT
    CASE WHEN NOT server.is_read_only THEN pg_logical_emit_message(true, 'postrider', '') END,
    server.is_read_only,
    clock_timestamp() AS now
FROM (
    SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS is_read_only
) server
