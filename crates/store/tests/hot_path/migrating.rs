//! Migrating beside other sessions: a migration waits for the lock, and no session waits long for the migration.

use std::time::Duration;

use store::migrate::{MigrateError, migrate_schema};

use crate::support::{RETENTION, TestStore};

/// The advisory lock for schema changes. Its number is fixed, because processes of two releases share it.
const SCHEMA_LOCK: i64 = 0x0070_6f73_7472_6964;
/// Bounds the wait until a migration gives up on a lock, on a busy machine.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_migration_takes_the_schema_lock_when_another_process_releases_it() {
    let test = TestStore::without_schema().await;
    test.sql.execute("SELECT pg_advisory_lock($1)", &[&SCHEMA_LOCK]).await.expect("locked");
    let migrating = tokio::spawn({
        let store = test.store.clone();
        async move { migrate_schema(&store, RETENTION).await }
    });
    let tries = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND state = 'idle' AND query = 'ROLLBACK' AND pid <> pg_backend_pid()";
    while test.sql.query_one(tries, &[]).await.expect("activity").get::<_, i64>(0) == 0 {
        assert!(!migrating.is_finished(), "it gave up");
        tokio::task::yield_now().await;
    }
    assert_eq!(
        test.count_rows("pg_tables WHERE tablename = 'events'").await,
        0,
        "nothing is migrated meanwhile"
    );
    test.sql.execute("SELECT pg_advisory_unlock($1)", &[&SCHEMA_LOCK]).await.expect("unlocked");
    migrating.await.expect("no panic").expect("migrated");
    assert_eq!(test.count_rows("pg_tables WHERE tablename = 'events'").await, 1);
    test.drop_database().await;
}

/// Statements queue behind a migration that waits for a lock.
#[tokio::test]
async fn a_migration_gives_up_on_a_locked_table_and_succeeds_later() {
    let test = TestStore::without_schema().await;
    let mut other = test.connect().await;
    let other = other.transaction().await.expect("begun");
    // The migration creates the same table, and waits for the transaction that does so.
    other.batch_execute("CREATE TABLE refinery_schema_history ()").await.expect("created");
    let patient = test.store_with("lock_timeout%3D0");
    let migrated = tokio::time::timeout(GIVE_UP_TIMEOUT, migrate_schema(&patient, RETENTION)).await;
    let error = migrated.expect("it gives up").expect_err("the table is locked");
    assert!(matches!(error, MigrateError::Migration(_)), "{error:?}");
    other.rollback().await.expect("ended");
    migrate_schema(&test.store, RETENTION).await.expect("migrated");
    test.drop_database().await;
}
