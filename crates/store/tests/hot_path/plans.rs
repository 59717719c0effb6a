//! How the server would run the statements that take batches, when it has one plan for any size.

use crate::support::TestStore;

const BATCHES: [(&str, usize); 3] = [
    (include_str!("../../sql/ingest/store.sql"), 11),
    (include_str!("../../sql/record/attempts.sql"), 20),
    (include_str!("../../sql/record/standings.sql"), 3),
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
