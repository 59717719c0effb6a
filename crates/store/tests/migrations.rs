//! Migrations must not scan or rebuild a large table under a lock that blocks its readers or writers.

use std::path::Path;

/// The last migration that was released before the rule.
const LAST_WITHOUT_RULE: u32 = 5;
/// The tables that grow with the events.
const LARGE_TABLES: [&str; 8] = [
    "events",
    "deliveries",
    "attempts",
    "event_keys",
    "webhook_activity",
    "audit",
    "unmatched_events",
    "event_duplicates",
];

const SCANS: &str =
    "it scans the table under an exclusive lock: add it NOT VALID, and VALIDATE it in a later migration";
const BUILDS: &str = "it blocks the writers of a large table: put the index into online_index.rs";

/// A statement as its words.
type Words<'a> = &'a [String];

#[test]
fn migrations_neither_scan_nor_rebuild_large_tables() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut checked = 0;
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let version =
            name.strip_prefix('V').and_then(|name| name.split_once("__")).expect("V<number>__<name>").0;
        if version.parse::<u32>().expect("a number") > LAST_WITHOUT_RULE {
            checked += 1;
            let sql = std::fs::read_to_string(&path).expect("a file");
            assert_eq!(list_refusals(&sql), Vec::<&str>::new(), "{name}");
        }
    }
    assert!(checked > 0, "no migration is newer than V{LAST_WITHOUT_RULE}");
}

#[test]
fn a_constraint_that_scans_the_table_is_refused() {
    for sql in [
        "ALTER TABLE brands ADD CHECK (name <> '')",
        "alter table only brands\n  add constraint named check (name <> '')",
        "ALTER TABLE IF EXISTS webhooks ADD CONSTRAINT of_brand FOREIGN KEY (brand_id) REFERENCES brands",
        "ALTER TABLE a ADD CHECK (x > 0) NOT VALID, ADD CHECK (y > 0)",
        "SELECT 1; ALTER TABLE a /* NOT VALID */ ADD CHECK (x > 0) -- NOT VALID",
        "ALTER TABLE public.\"deliveries\" ADD COLUMN kind text CHECK (kind IN ('a', 'b'))",
        "ALTER TABLE deliveries ADD kind text REFERENCES kinds",
        "DO $$ BEGIN ALTER TABLE a ADD CHECK (x > 0); END $$",
    ] {
        assert_eq!(list_refusals(sql), [SCANS], "{sql}");
    }
}

#[test]
fn an_index_of_a_large_table_is_refused() {
    for table in LARGE_TABLES {
        for sql in [
            format!("CREATE INDEX ON {table} (created)"),
            format!("CREATE UNIQUE INDEX IF NOT EXISTS named ON ONLY {table} USING btree (created)"),
            format!("CREATE INDEX CONCURRENTLY named\n    ON public.{table}(created)"),
        ] {
            assert_eq!(list_refusals(&sql), [BUILDS], "{sql}");
        }
    }
}

#[test]
fn statements_that_block_nobody_are_allowed() {
    for sql in [
        "ALTER TABLE deliveries ADD CONSTRAINT named CHECK (x > 0) NOT VALID, ADD COLUMN y text",
        "ALTER TABLE deliveries VALIDATE CONSTRAINT named",
        "ALTER TABLE deliveries ADD COLUMN checked boolean NOT NULL DEFAULT false",
        "ALTER TABLE instances ADD COLUMN retention_ms bigint CHECK (retention_ms > 0)",
        "CREATE TABLE kinds (name text PRIMARY KEY CHECK (name <> '')); CREATE INDEX ON kinds (name)",
        "CREATE INDEX webhooks_by_events ON webhooks (events)",
        "-- CREATE INDEX ON events (created);\nSELECT 1",
    ] {
        assert_eq!(list_refusals(sql), Vec::<&str>::new(), "{sql}");
    }
}

/// Returns the reasons for which statements of a migration are refused.
fn list_refusals(sql: &str) -> Vec<&'static str> {
    let words = split_words(sql);
    let statements = words.split(|word| word == ";");
    statements.flat_map(|statement| [refuse_scan(statement), refuse_build(statement)]).flatten().collect()
}

/// Refuses a statement that adds a constraint and validates it at once.
fn refuse_scan(statement: Words<'_>) -> Option<&'static str> {
    let altered = words_after(statement, &["alter", "table"])?;
    let altered = skip_words(altered, &["if", "exists", "only"]);
    let (table, actions) = altered.split_first()?;
    words_at_top(actions)
        .split(|word| *word == ",")
        .any(|action| checks_at_once(table, action))
        .then_some(SCANS)
}

/// Returns whether an action of ALTER TABLE scans the table. `action` has no words in parentheses.
fn checks_at_once(table: &str, action: &[&str]) -> bool {
    let Some((&"add", added)) = action.split_first() else { return false };
    let has = |word| added.contains(&word);
    match added.first() {
        Some(&("constraint" | "check" | "foreign")) => {
            (has("check") || has("foreign")) && !added.windows(2).any(|pair| pair == ["not", "valid"])
        }
        _ => LARGE_TABLES.contains(&table) && (has("check") || has("references")),
    }
}

/// Refuses a statement that builds an index of a large table.
fn refuse_build(statement: Words<'_>) -> Option<&'static str> {
    let created = words_after(statement, &["create", "index"])
        .or_else(|| words_after(statement, &["create", "unique", "index"]))?;
    let table = skip_words(words_after(created, &["on"])?, &["only"]).first()?;
    LARGE_TABLES.contains(&table.as_str()).then_some(BUILDS)
}

/// Splits SQL into words in lower case, without comments, quotes of names, and the schema. Each separator is a word.
fn split_words(sql: &str) -> Vec<String> {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let mut text =
        lines.collect::<Vec<_>>().join("\n").to_lowercase().replace('"', "").replace("public.", "");
    while let Some((before, comment)) = text.split_once("/*") {
        let rest = comment.split_once("*/").map_or("", |(_, rest)| rest);
        text = format!("{before} {rest}");
    }
    for separator in ["(", ")", ",", ";"] {
        text = text.replace(separator, &format!(" {separator} "));
    }
    text.split_whitespace().map(str::to_owned).collect()
}

/// Returns the words after the first occurrence of `these`.
fn words_after<'a>(words: Words<'a>, these: &[&str]) -> Option<Words<'a>> {
    let at = words.windows(these.len()).position(|window| window == these)?;
    Some(&words[at + these.len()..])
}

/// Returns the words without those of `these` at the beginning.
fn skip_words<'a>(words: Words<'a>, these: &[&str]) -> Words<'a> {
    let skipped = words.iter().take_while(|word| these.contains(&word.as_str())).count();
    &words[skipped..]
}

/// Returns the words outside of parentheses.
fn words_at_top(words: Words<'_>) -> Vec<&str> {
    let mut depth = 0;
    let mut top = Vec::new();
    for word in words {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            word if depth == 0 => top.push(word),
            _ => {}
        }
    }
    top
}
