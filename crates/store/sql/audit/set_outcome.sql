-- Writes the outcome of an act that had begun: $1 entry, $2 outcome, $3 what it came to
UPDATE audit SET outcome = $2, after = $3 WHERE id = $1 AND outcome = 'started'
