-- $1 id, $2 actor, $3 action, $4 brand, $5 subject, $6 before, $7 after. The clock and not the
-- transaction's start, so that the order of the entries is that in which the changes came to hold.
INSERT INTO audit (id, at, actor, action, brand_id, subject, before, after)
VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7)
