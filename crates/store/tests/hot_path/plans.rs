//! How the server would run the statements that take batches, when it has one plan for any size.

use crate::support::TestStore;

const BATCHES: [(&str, usize); 3] = [
    (include_str!("../../sql/ingest/store.sql"), 11),
    (include_str!("../../sql/record/attempts.sql"), 20),
    (include_str!("../../sql/record/standings.sql"), 3),
];

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
            // Run for each row of a batch: in a hash of the rest, or by index where it says OFFSET 0.
            let repeated = plan.replace("(hashed SubPlan", "").replace("(NOT (SubPlan", "");
            assert!(!repeated.contains("(SubPlan"), "{plan}");
        }
    }
    test.drop_it().await;
}
