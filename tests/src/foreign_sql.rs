//! Changes that others make to the database of a running platform: a rule that refuses certain rows, a dump
//! that locks all tables, a day that is due for maintenance.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveDate, Utc};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::database;
use crate::poll::eventually;

/// Bounds the wait for a schema change, because services use the tables.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The tables that have a partition for each day.
const DAILY_TABLES: [&str; 6] =
    ["events", "deliveries", "attempts", "webhook_activity", "unmatched_events", "event_duplicates"];
/// Age in days of a day that no test's retention keeps.
const EXPIRED_DAYS: u64 = 12;
/// Lists all tables, including the partitions, because a dump locks each of them.
const TABLES: &str = "SELECT quote_ident(relname) FROM pg_class \
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY oid";

/// Adds a rule to a table that refuses rows that satisfy this condition on `NEW`.
///
/// # Panics
/// When the database does not allow it.
pub async fn refuse_rows(database_url: &str, table: &str, condition: &str) {
    let change = format!(
        "CREATE OR REPLACE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'the fault suite refuses this row' USING ERRCODE = 'check_violation'; \
         END $$; \
         CREATE TRIGGER aa_refuse_row BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW \
             WHEN ({condition}) EXECUTE FUNCTION refuse_row();"
    );
    change_schema(database_url, &change).await;
}

/// Removes the rule.
///
/// # Panics
/// When the database does not allow it.
pub async fn stop_refusing_rows(database_url: &str, table: &str) {
    change_schema(database_url, &format!("DROP TRIGGER aa_refuse_row ON {table}")).await;
}

/// Changes the schema without holding up others. It soon gives up its position in the queue for the lock, and
/// tries again.
async fn change_schema(database_url: &str, change: &str) {
    let change = format!("BEGIN; SET LOCAL lock_timeout = '500ms'; {change}; COMMIT;");
    eventually("the schema is changed", CHANGE_TIMEOUT, async || {
        let client = database::connect(database_url).await.map_err(|error| error.to_string())?;
        client.batch_execute(&change).await.map_err(|error| format!("{error:?}"))
    })
    .await;
}

/// Creates work for maintenance: an expired day, and a missing day ahead.
///
/// # Panics
/// When the database does not allow it.
pub async fn create_maintenance_work(database_url: &str, now: DateTime<Utc>) {
    let expired = now.date_naive() - Days::new(EXPIRED_DAYS);
    for table in DAILY_TABLES {
        change_schema(database_url, &create_day_sql(table, expired)).await;
        change_schema(database_url, &drop_newest_day_sql(table)).await;
    }
}

fn create_day_sql(table: &str, day: NaiveDate) -> String {
    let name = format!("{table}_{}", day.format("%Y%m%d"));
    let next = day + Days::new(1);
    format!(
        "CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} \
         FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00')"
    )
}

/// Drops the last day ahead, which is empty. It keeps a day that is needed soon, because this runs several
/// times.
fn drop_newest_day_sql(table: &str) -> String {
    format!(
        "DO $$ DECLARE newest regclass; BEGIN \
             SELECT inhrelid::regclass INTO newest FROM pg_inherits \
             WHERE inhparent = '{table}'::regclass \
               AND right(inhrelid::regclass::text, 8) > to_char(now() + interval '2 days', 'YYYYMMDD') \
             ORDER BY inhrelid::regclass::text DESC LIMIT 1; \
             IF newest IS NOT NULL THEN EXECUTE format('DROP TABLE %s', newest); END IF; \
         END $$"
    )
}

/// A transaction that reads all tables, as `pg_dump` does, and ends when it is dropped.
#[derive(Debug)]
pub struct Dump {
    _client: Client,
    database_url: String,
}

impl Dump {
    /// Begins, and locks all tables in the mode of a reader.
    ///
    /// # Panics
    /// When the database does not allow it.
    pub async fn begin(database_url: &str) -> Self {
        let client = database::connect(database_url).await.expect("a connection for the dump");
        eventually("the dump has all tables", CHANGE_TIMEOUT, async || {
            let begun = client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
            begun.map_err(|error| error.to_string())?;
            let tables = client.query(TABLES, &[]).await.map_err(|error| error.to_string())?;
            let tables: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
            let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", "));
            match client.batch_execute(&lock).await {
                Ok(()) => Ok(()),
                // Another process dropped a day in between.
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                    client.batch_execute("ROLLBACK").await.map_err(|error| error.to_string())?;
                    Err(error.to_string())
                }
                Err(error) => panic!("the dump cannot lock the tables: {error:?}"),
            }
        })
        .await;
        Self { _client: client, database_url: database_url.to_owned() }
    }

    /// Waits at most this long until a client waits for a lock of these tables. It may miss maintenance that
    /// gives up at once.
    pub async fn wait_for_lock_waiter(&self, timeout: Duration) {
        let looking = async {
            let client = database::connect(&self.database_url).await.expect("the list of locks");
            let waits = "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                WHERE d.datname = current_database() AND l.locktype = 'relation' AND NOT l.granted";
            while client.query(waits, &[]).await.expect("the locks").is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let _ = tokio::time::timeout(timeout, looking).await;
    }
}
