//! Building indexes of the large tables while events keep arriving.
//!
//! A migration cannot add an index to a partitioned table without blocking its writers, because
//! `CREATE INDEX CONCURRENTLY` works neither in a transaction nor on a partitioned table. Therefore:
//!
//! 1. The index is created `ON ONLY` the parent table, which takes a moment. Every partition that is created later gets
//!    its part at once.
//! 2. For each existing partition, the part is built concurrently and then attached.
//!
//! A new database has no partitions yet, so that the first step completes the index. Each step may be interrupted: the
//! next call drops an unfinished part, and continues. The index of a table without partitions is built concurrently as a
//! whole, or created at once while the table is empty.

use std::time::Duration;

use tokio::time::Instant;

use runtime::error::Chain;
use tokio_postgres::Client;
use tracing::{info, warn};

use crate::error::StoreError;
use crate::maintenance::advisory_lock::AdvisoryLock;
use crate::pool::Store;
use crate::rows::read;

/// Whether a table has partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// It is a parent of daily partitions.
    Partitioned,
    /// It is one table.
    Whole,
}

/// An index of a large table.
///
/// A changed definition needs a new name, because an index is identified by its name alone.
#[derive(Debug, Clone, Copy)]
pub struct OnlineIndex {
    /// The name: the name of the table with a suffix.
    pub name: &'static str,
    /// The table.
    pub table: &'static str,
    /// Whether the table has partitions.
    pub layout: Layout,
    /// The columns and the condition, as in `CREATE INDEX … ON table`.
    pub definition: &'static str,
    /// Whether its columns identify a row.
    pub unique: bool,
    /// The constraint that the index replaces. It is dropped once the index is complete.
    pub replaces: Option<&'static str>,
}

/// All indexes that are built online.
pub const ONLINE_INDEXES: [OnlineIndex; 15] = [
    // Finds retries whose message was lost, or that only the database holds.
    OnlineIndex {
        name: "deliveries_retry_due",
        table: "deliveries",
        layout: Layout::Partitioned,
        definition: "(webhook_id, next_attempt_at) WHERE status = 'pending' AND next_attempt_at IS NOT NULL",
        unique: false,
        replaces: None,
    },
    // The redeliveries of a webhook in the order in which they are sent: single ones first, then those of jobs.
    OnlineIndex {
        name: "redeliveries_single",
        table: "redeliveries",
        layout: Layout::Whole,
        definition: "(webhook_id, queued_at, created, event_id) WHERE job_id IS NULL",
        unique: false,
        replaces: None,
    },
    OnlineIndex {
        name: "redeliveries_of_jobs",
        table: "redeliveries",
        layout: Layout::Whole,
        definition: "(webhook_id, queued_at, created, event_id) WHERE job_id IS NOT NULL",
        unique: false,
        replaces: None,
    },
    // Removing a deleted webhook looks for its jobs, also for the foreign key.
    OnlineIndex {
        name: "redelivery_jobs_by_webhook",
        table: "redelivery_jobs",
        layout: Layout::Whole,
        definition: "(webhook_id)",
        unique: false,
        replaces: None,
    },
    // Finds an event by its message_id without its brand, which the primary key begins with.
    OnlineIndex {
        name: "event_keys_by_key",
        table: "event_keys",
        layout: Layout::Partitioned,
        definition: "(key, brand_id, epoch)",
        unique: true,
        replaces: Some("event_keys_pkey"),
    },
    // The events of a brand, newest first, and those with a key. Events without a key pay nothing for the second.
    OnlineIndex { name: "events_by_brand", table: "events", ..BY_BRAND },
    OnlineIndex { name: "events_by_key", table: "events", ..BY_KEY },
    OnlineIndex { name: "unmatched_events_by_brand", table: "unmatched_events", ..BY_BRAND },
    OnlineIndex { name: "unmatched_events_by_key", table: "unmatched_events", ..BY_KEY },
    OnlineIndex {
        name: "unmatched_events_by_identity",
        table: "unmatched_events",
        definition: "(identity, brand_id, created)",
        ..BY_BRAND
    },
    // The filters of the audit, each in the order of its list. An actor is found by its kind and id, without its name.
    OnlineIndex { name: "audit_by_brand", definition: "(brand_id, at, id)", ..OF_AUDIT },
    OnlineIndex { name: "audit_by_actor", definition: "(split_part(actor, ' ', 1), at, id)", ..OF_AUDIT },
    // Everyone of support, whose actors differ.
    OnlineIndex {
        name: "audit_by_support",
        definition: "(at, id) WHERE starts_with(actor, 'support')",
        ..OF_AUDIT
    },
    OnlineIndex { name: "audit_by_action", definition: "(action, at, id)", ..OF_AUDIT },
    OnlineIndex { name: "audit_by_subject", definition: "(subject, at, id)", ..OF_AUDIT },
];

const BY_BRAND: OnlineIndex = OnlineIndex {
    name: "",
    table: "",
    layout: Layout::Partitioned,
    definition: "(brand_id, created, id)",
    unique: false,
    replaces: None,
};
const OF_AUDIT: OnlineIndex = OnlineIndex { table: "audit", layout: Layout::Whole, ..BY_BRAND };
const BY_KEY: OnlineIndex =
    OnlineIndex { definition: "(key, brand_id, created, id) WHERE key IS NOT NULL", ..BY_BRAND };

/// The advisory lock of the process that builds indexes. The schema's lock is not used, because creating tomorrow's
/// partitions would otherwise wait for hours.
const BUILD_LOCK: i64 = 0x0070_6f73_7472_6978;
/// Sets a short lock timeout for a step that blocks writers, because writers queue behind the waiting step.
const BRIEF_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";
/// Delay of the next try after a failure, or while another process builds.
const BUILD_RETRY_DELAY: Duration = Duration::from_secs(30);

impl OnlineIndex {
    /// Returns the name of the index of a partition: `deliveries_20261231_retry_due`.
    fn part_name(&self, partition: &str) -> String {
        let suffix = self.name.strip_prefix(self.table).unwrap_or(self.name);
        format!("{partition}{suffix}")
    }

    /// Returns the beginning of the statement that creates it.
    fn create(&self) -> &'static str {
        if self.unique { "CREATE UNIQUE INDEX" } else { "CREATE INDEX" }
    }
}

/// Builds all missing indexes, and returns when they are complete.
pub(crate) async fn build_until_complete(store: Store) {
    loop {
        match build_missing(&store).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => {
                warn!(error = %Chain(&error), "could not build an index; retrying (behind a pooler, migrate over a direct connection: deploy/README.md)")
            }
        }
        tokio::time::sleep(BUILD_RETRY_DELAY).await;
    }
}

/// Builds all missing indexes, unless another process does. Returns whether all are complete now.
///
/// # Errors
/// When the database fails. The next call continues.
pub async fn build_missing(store: &Store) -> Result<bool, StoreError> {
    // Do not wait for the lock, because `CREATE INDEX CONCURRENTLY` would wait for the waiting transaction.
    let Some(lock) = AdvisoryLock::try_acquire(store, BUILD_LOCK).await? else { return Ok(false) };
    // `CREATE INDEX CONCURRENTLY` waits for all earlier transactions and blocks none.
    let client = store.session_without_timeouts().await?;
    let built = build_all(&client).await;
    lock.release().await?;
    built.map(|()| true)
}

async fn build_all(client: &Client) -> Result<(), StoreError> {
    for index in &ONLINE_INDEXES {
        build_index(client, index).await?;
    }
    // Last, because dropping fails while a transaction holds a lock on the table, and the builds need not wait for it.
    for index in &ONLINE_INDEXES {
        drop_replaced(client, index).await?;
    }
    Ok(())
}

/// Drops the constraint that an index replaces, once the index does its work in every partition.
async fn drop_replaced(client: &Client, index: &OnlineIndex) -> Result<(), StoreError> {
    let OnlineIndex { name, table, replaces: Some(constraint), .. } = index else { return Ok(()) };
    if is_valid(client, constraint).await?.is_none() || !is_complete(client, index).await? {
        return Ok(());
    }
    run_briefly(client, &format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}")).await?;
    info!(index = name, constraint, "dropped a constraint that an index replaces");
    Ok(())
}

/// Runs a statement that blocks writers, with a short lock timeout.
async fn run_briefly(client: &Client, sql: &str) -> Result<(), StoreError> {
    let done = client.batch_execute(&format!("BEGIN; {BRIEF_LOCK_TIMEOUT}; {sql}; COMMIT")).await;
    if done.is_err() {
        client.batch_execute("ROLLBACK").await?;
    }
    Ok(done?)
}

/// Creates the indexes of empty tables and of tables without partitions, as on a new database.
pub(crate) async fn create_on_new_tables(client: &Client) -> Result<(), StoreError> {
    for index in &ONLINE_INDEXES {
        let is_new = match index.layout {
            Layout::Partitioned => find_missing_parts(client, index).await?.is_empty(),
            Layout::Whole => is_empty(client, index.table).await?,
        };
        if is_new {
            create_at_once(client, index).await?;
        }
    }
    Ok(())
}

async fn build_index(client: &Client, index: &OnlineIndex) -> Result<(), StoreError> {
    if index.layout == Layout::Whole {
        return build_concurrently(client, index, index.name, index.table).await;
    }
    create_at_once(client, index).await?;
    for partition in find_missing_parts(client, index).await? {
        let began = Instant::now();
        build_part(client, index, &partition).await?;
        info!(index = index.name, partition, seconds = began.elapsed().as_secs(), "built an index");
    }
    Ok(())
}

/// Creates an index of a parent without its partitions, or of an empty table.
async fn create_at_once(client: &Client, index: &OnlineIndex) -> Result<(), StoreError> {
    if is_valid(client, index.name).await?.is_some() {
        return Ok(());
    }
    let OnlineIndex { name, table, definition, .. } = index;
    let create = index.create();
    // Another process may create the index at the same time.
    run_briefly(client, &format!("{create} IF NOT EXISTS {name} ON ONLY {table} {definition}")).await
}

async fn build_part(client: &Client, index: &OnlineIndex, partition: &str) -> Result<(), StoreError> {
    let part = index.part_name(partition);
    build_concurrently(client, index, &part, partition).await?;
    run_briefly(client, &format!("ALTER INDEX {} ATTACH PARTITION {part}", index.name)).await
}

/// Builds an index beside readers and writers, unless it is complete. An unfinished one is dropped first.
async fn build_concurrently(
    client: &Client,
    index: &OnlineIndex,
    name: &str,
    table: &str,
) -> Result<(), StoreError> {
    let mut valid = is_valid(client, name).await?;
    if valid == Some(false) {
        info!(index = name, "dropping an unfinished index");
        client.batch_execute(&format!("DROP INDEX CONCURRENTLY {name}")).await?;
        valid = None;
    }
    if valid.is_none() {
        let create = index.create();
        let definition = index.definition;
        client.batch_execute(&format!("{create} CONCURRENTLY {name} ON {table} {definition}")).await?;
    }
    Ok(())
}

/// Returns whether a table has no rows.
async fn is_empty(client: &Client, table: &str) -> Result<bool, StoreError> {
    let row = client.query_one(&format!("SELECT NOT EXISTS (SELECT FROM {table})"), &[]).await?;
    Ok(row.try_get(0)?)
}

/// Returns whether an index does its work for every row of its table.
async fn is_complete(client: &Client, index: &OnlineIndex) -> Result<bool, StoreError> {
    let OnlineIndex { name, table, .. } = index;
    match (is_valid(client, name).await?, index.layout) {
        (None, _) => Ok(false),
        (Some(valid), Layout::Whole) => Ok(valid),
        (Some(_), Layout::Partitioned) => {
            let row = client.query_one(sql!("online_index/is_in_every_partition"), &[table, name]).await?;
            read(&row, "complete")
        }
    }
}

async fn find_missing_parts(client: &Client, index: &OnlineIndex) -> Result<Vec<String>, StoreError> {
    let rows = client.query(sql!("online_index/find_missing_parts"), &[&index.table, &index.name]).await?;
    rows.iter().map(|row| read(row, "partition")).collect()
}

/// Returns whether an index is valid; `None` when it does not exist.
async fn is_valid(client: &Client, name: &str) -> Result<Option<bool>, StoreError> {
    let row = client.query_opt(sql!("online_index/state"), &[&name]).await?;
    row.as_ref().map(|row| read(row, "valid")).transpose()
}
