-- Commits a record that is written and flushed like any other, and that a synchronous standby has to confirm.
-- It needs no table. (A transaction that was only given an id is not flushed.) The answer also tells the time.
SELECT pg_logical_emit_message(true, 'postrider', ''), clock_timestamp() AS now
