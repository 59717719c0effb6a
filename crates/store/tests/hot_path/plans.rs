//! The generic plans of the statements that take batches.

use crate::support::TestStore;

const OWED: &str = include_str!("../../sql/ingest/owed.sql");

const BATCHES: [(&str, usize); 8] = [
    (include_str!("../../sql/ingest/store.sql"), 13),
    (include_str!("../../sql/unmatched/record.sql"), 11),
    (include_str!("../../sql/duplicates/count.sql"), 4),
    (include_str!("../../sql/record/attempts.sql"), 24),
    (include_str!("../../sql/record/load_states.sql"), 3),
    (include_str!("../../sql/events/load_data.sql"), 3),
    (include_str!("../../sql/record/finish_deliveries.sql"), 6),
    (OWED, 2),
];

/// Subplans that are cheap for each row, as plans print them. NOT EXISTS is printed differently from PostgreSQL 17 on.
const LOOK_UPS: [&str; 3] = ["(hashed SubPlan", "(NOT (SubPlan", "(NOT EXISTS(SubPlan"];

/// A batch is compared row by row neither with itself nor with a whole table, with and without statistics of small
/// tables, because the plan stays in use while the tables grow.
#[tokio::test]
async fn the_cost_of_a_batch_depends_on_its_size_alone() {
    let test = TestStore::new().await;
    for statistics in ["", "ANALYZE"] {
        test.sql.batch_execute(statistics).await.expect("statistics");
        for (statement, parameters) in BATCHES {
            let plan = test.explain(statement, parameters).await;
            assert!(!plan.contains("Join Filter"), "{plan}");
            for table in
                ["event_keys", "deliveries", "attempts", "events", "unmatched_events", "event_duplicates"]
            {
                assert!(!plan.contains(&format!("Seq Scan on {table}_")), "{plan}");
            }
            // A subplan for each row of a batch must use a hash, or look up a key in an index.
            let answered = LOOK_UPS.iter().fold(plan.clone(), |rest, look_up| rest.replace(look_up, ""));
            assert!(!answered.contains("(SubPlan"), "{plan}");
        }
    }
    test.drop_database().await;
}

/// After a router died, a batch of redelivered events costs no more if webhooks have many pending deliveries.
#[tokio::test]
async fn owed_deliveries_are_found_by_their_keys() {
    let test = TestStore::new().await;
    for statistics in ["", "ANALYZE"] {
        test.sql.batch_execute(statistics).await.expect("statistics");
        let plan = test.explain(OWED, 2).await;
        for (table, keys) in [
            ("event_keys", &["brand_id", "key"][..]),
            ("webhooks", &["brand_id"]),
            ("deliveries", &["webhook_id", "created", "event_id"]),
        ] {
            let scans = index_conditions(&plan, table);
            assert!(!scans.is_empty(), "{table}: {plan}");
            for condition in scans {
                assert!(
                    keys.iter().all(|key| condition.contains(&format!("{key} ="))),
                    "{condition}: {plan}"
                );
            }
        }
    }
    test.drop_database().await;
}

/// Returns the conditions of the index scans of a table and its partitions.
fn index_conditions<'a>(plan: &'a str, table: &str) -> Vec<&'a str> {
    let lines: Vec<&str> = plan.lines().collect();
    let is_scan = |line: &str| line.contains("Index") && line.contains(&format!(" on public.{table}"));
    let condition = |at: usize| {
        let own = lines[at + 1..].iter().take_while(|line| !line.contains("->"));
        own.copied().find(|line| line.contains("Index Cond:"))
    };
    let scans = lines.iter().enumerate().filter(|(_, line)| is_scan(line));
    scans.map(|(at, _)| condition(at).unwrap_or("no condition")).collect()
}
