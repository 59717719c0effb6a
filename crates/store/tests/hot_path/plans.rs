//! How the server would run the statements that take batches, when it has one plan for any size.

use crate::support::TestStore;

const OWED: &str = include_str!("../../sql/ingest/owed.sql");

const BATCHES: [(&str, usize); 4] = [
    (include_str!("../../sql/ingest/store.sql"), 11),
    (include_str!("../../sql/record/attempts.sql"), 20),
    (include_str!("../../sql/record/load_states.sql"), 3),
    (OWED, 2),
];

/// How plans write what is cheap for each row; NOT EXISTS as PostgreSQL does up to 16, and from 17 on.
const LOOK_UPS: [&str; 3] = ["(hashed SubPlan", "(NOT (SubPlan", "(NOT EXISTS(SubPlan"];

/// A batch is neither compared row by row with itself nor with all that is stored, whether the planner knows
/// nothing of the tables or knows that they are small: the plan is kept while they grow.
#[tokio::test]
async fn what_a_batch_costs_grows_with_its_size_alone() {
    let test = TestStore::new().await;
    for statistics in ["", "ANALYZE"] {
        test.sql.batch_execute(statistics).await.expect("statistics");
        for (statement, parameters) in BATCHES {
            let plan = test.plan(statement, parameters).await;
            assert!(!plan.contains("Join Filter"), "{plan}");
            for table in ["event_keys", "deliveries", "attempts", "events"] {
                assert!(!plan.contains(&format!("Seq Scan on {table}_")), "{plan}");
            }
            // What is run for each row of a batch looks into a hash, or asks an index whether there is a key.
            let answered = LOOK_UPS.iter().fold(plan.clone(), |rest, look_up| rest.replace(look_up, ""));
            assert!(!answered.contains("(SubPlan"), "{plan}");
        }
    }
    test.drop_it().await;
}

/// After a router died, a batch of events that come again costs no more when webhooks have many pending deliveries.
#[tokio::test]
async fn owed_deliveries_are_found_by_their_keys() {
    let test = TestStore::new().await;
    for statistics in ["", "ANALYZE"] {
        test.sql.batch_execute(statistics).await.expect("statistics");
        let plan = test.plan(OWED, 2).await;
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
    test.drop_it().await;
}

/// The conditions with which a plan looks into the indexes of a table and of its partitions.
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
