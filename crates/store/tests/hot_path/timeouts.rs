//! Statements that take too long: the server ends them, on its own or because the client cancels them.

use std::time::Duration;

use store::Executor;
use tokio_postgres::error::SqlState;

use crate::support::TestStore;

/// Bounds the wait until a cancelled statement ends, on a busy machine.
const END_TIMEOUT: Duration = Duration::from_secs(60);
/// Runs longer than any test.
const ENDLESS: &str = "SELECT pg_sleep(3600)::text";

#[tokio::test]
async fn a_statement_that_times_out_in_the_client_is_cancelled_on_the_server() {
    let test = TestStore::new().await;
    let store = test.store_with("statement_timeout%3D0").with_answer_timeout(Duration::from_secs(1));
    let error = store.query_rows(ENDLESS, &[]).await.expect_err("it does not end");
    assert!(error.is_unavailable() && error.is_overload(), "{error:?}");
    assert!(!error.is_ended_by_server(), "{error:?}");
    let gone = async {
        while count_running(&test).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(END_TIMEOUT, gone).await.expect("the statement was cancelled");
    let patient = store.with_answer_timeout(END_TIMEOUT);
    patient.ping().await.expect("the pool opens another connection");
    test.drop_database().await;
}

#[tokio::test]
async fn a_statement_that_the_server_ends_counts_as_one_that_took_too_long() {
    let test = TestStore::new().await;
    let store = test.store_with("statement_timeout%3D2000");
    let error = store.query_rows(ENDLESS, &[]).await.expect_err("it does not end");
    assert!(error.is_overload() && error.is_ended_by_server(), "{error:?}");
    test.drop_database().await;
}

#[tokio::test]
async fn the_lock_timeout_of_the_server_ends_before_the_client_gives_up() {
    let test = TestStore::new().await;
    test.sql.batch_execute("BEGIN; LOCK TABLE brands IN ACCESS EXCLUSIVE MODE").await.expect("locked");
    let error = test.store.query_rows("SELECT name FROM brands", &[]).await.expect_err("the table is locked");
    assert!(error.is_unavailable(), "{error:?}");
    let store::StoreError::Unavailable(cause) = &error else { unreachable!("it is unavailable") };
    let code = cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::code);
    assert_eq!(code, Some(&SqlState::LOCK_NOT_AVAILABLE), "{error:?}");
    test.sql.batch_execute("ROLLBACK").await.expect("unlocked");
    test.drop_database().await;
}

/// Counts the sessions of the test's database that run the endless statement.
async fn count_running(test: &TestStore) -> i64 {
    let running = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND state = 'active' AND query = $1";
    test.sql.query_one(running, &[&ENDLESS]).await.expect("activity").get(0)
}
