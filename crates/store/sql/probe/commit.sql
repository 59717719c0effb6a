-- Commits a WAL record that is flushed like any other, and that a synchronous standby must confirm. It needs no table.
-- (PostgreSQL does not flush a transaction that only got an id.) The answer includes the time.
SELECT pg_logical_emit_message(true, 'postrider', ''), clock_timestamp() AS now
