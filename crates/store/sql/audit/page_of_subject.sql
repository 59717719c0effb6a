-- The newest entries of the audit about a subject: ($1, $2) position after which the page begins, $3 earliest time, $4 brand, $5
-- actor, $6 action, $7 subject, $8 limit, $9 entries to look at. The filters are NULL where they do not narrow.
--
-- The first filter reads an index; the others skip entries, so that their number is bounded. `end_at` and `end_id` are where
-- the page has to go on if that bound ended it. They are in a row of their own if no entry fits.
WITH scanned AS MATERIALIZED (
    SELECT at, id, actor, action, brand_id, subject
    FROM audit
    WHERE subject = $7 AND (at, id) < ($1, $2) AND at >= $3
    ORDER BY at DESC, id DESC
    LIMIT $9::bigint
), matching AS (
    SELECT at, id
    FROM scanned
    WHERE ($4::text IS NULL OR brand_id = $4)
      AND ($5::text IS NULL OR split_part(actor, ' ', 1) = $5 OR ($5 = 'support' AND starts_with(actor, 'support:')))
      AND ($6::text IS NULL OR action = $6)
      AND ($7::text IS NULL OR subject = $7)
    ORDER BY at DESC, id DESC
    LIMIT $8::bigint
)
SELECT a.id, a.at, a.actor, a.action, a.brand_id, a.subject, a.before, a.after, a.outcome, scan.at AS end_at, scan.id AS end_id
FROM (SELECT) AS always
LEFT JOIN (SELECT at, id FROM scanned ORDER BY at DESC, id DESC OFFSET $9::bigint - 1 LIMIT 1) AS scan ON true
LEFT JOIN (matching AS m CROSS JOIN LATERAL (SELECT * FROM audit WHERE id = m.id OFFSET 0) AS a) ON true
ORDER BY a.at DESC, a.id DESC
