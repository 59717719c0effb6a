//! The text of a refusal, which processes log.

use runtime::error::Chain;
use store::StoreError;

use crate::support::TestStore;

/// PostgreSQL's detail repeats the row, and so a payload or an answer of an endpoint.
#[tokio::test]
async fn a_refusal_does_not_repeat_the_row() {
    let test = TestStore::new().await;
    for (statement, named) in [
        ("INSERT INTO tokens VALUES (gen_random_uuid(), 'acme', 'hush', 'none', 'hush', now())", "tokens_"),
        ("INSERT INTO brands (brand_id, name) VALUES ('acme', 'hush')", "brands_pkey"),
        (
            "INSERT INTO events (id, brand_id, created, type, data) VALUES (gen_random_uuid(), 'acme', '2001-01-01', 'A', 'hush')",
            "no partition",
        ),
    ] {
        let refused = test.sql.batch_execute(statement).await.expect_err("refused");
        let error = StoreError::from(refused);
        assert!(error.is_refused(), "{error:?}");
        for text in [Chain(&error).to_string(), format!("{error:?}"), error.refusal()] {
            assert!(!text.contains("hush") && !text.contains("2001"), "{text}");
        }
        assert!(Chain(&error).to_string().contains(named), "{}", Chain(&error));
    }
    test.drop_database().await;
}
