-- $1 id, $2 actor, $3 action, $4 brand, $5 subject, $6 before, $7 after, $8 outcome or NULL if the act is part of the
-- transaction. The time is the clock's and not the start of the transaction, so that the entries are in the order in which
-- the changes took effect.
INSERT INTO audit (id, at, actor, action, brand_id, subject, before, after, outcome)
VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8)
