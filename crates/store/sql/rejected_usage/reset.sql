-- The queue was emptied: nothing is in it. What was dropped stays counted.
UPDATE rejected_usage SET messages = 0, bytes = 0 WHERE messages <> 0 OR bytes <> 0
