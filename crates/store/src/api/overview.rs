//! What support sees at a glance.

use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::StoreError;
use crate::instances::ALIVE_TIMEOUT;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// A process that was seen lately.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its identity, new with each start.
    pub id: Uuid,
    /// Which of the three services it is.
    pub service: String,
    /// Where it runs.
    pub host: String,
    /// Which version it is.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
}

/// The deliveries that wait.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// How many.
    pub deliveries: i64,
    /// When the oldest one's event happened.
    pub oldest: Option<Timestamp>,
}

/// What is still to be delivered.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// How many deliveries wait, those for their next attempt included.
    pub waiting: i64,
    /// How many of them are due.
    pub due: i64,
    /// For how long the oldest one is due, of those that nobody asked for again.
    pub overdue_seconds: f64,
}

/// The processes that were seen lately.
///
/// # Errors
/// When the database fails.
pub async fn list_services(store: &Store) -> Result<Vec<Service>, StoreError> {
    let rows = store.query(sql!("overview/services"), &[&ALIVE_TIMEOUT.as_secs_f64()]).await?;
    rows.iter().map(read_service).collect()
}

/// The deliveries of all webhooks that wait.
///
/// # Errors
/// When the database fails.
pub async fn count_waiting(store: &Store) -> Result<Waiting, StoreError> {
    let row = store.query_opt(sql!("overview/waiting"), &[]).await?;
    let row = row.ok_or_else(|| StoreError::Unreadable("no answer to a count".to_owned()))?;
    Ok(Waiting { deliveries: read(&row, "waiting")?, oldest: read(&row, "oldest")? })
}

/// What is still to be delivered, to all webhooks.
///
/// # Errors
/// When the database fails.
pub async fn measure_backlog(store: &Store) -> Result<Backlog, StoreError> {
    let row = store.query_opt(sql!("overview/backlog"), &[]).await?;
    let row = row.ok_or_else(|| StoreError::Unreadable("no answer to a count".to_owned()))?;
    Ok(Backlog {
        waiting: read(&row, "waiting")?,
        due: read(&row, "due")?,
        overdue_seconds: read(&row, "overdue_seconds")?,
    })
}

/// How many webhooks stand where, without the deleted.
///
/// # Errors
/// When the database fails.
pub async fn count_webhooks(store: &Store) -> Result<Vec<(WebhookStatus, i64)>, StoreError> {
    let rows = store.query(sql!("overview/webhooks"), &[]).await?;
    rows.iter().map(|row| Ok((read_word(row, "status")?, read(row, "count")?))).collect()
}

fn read_service(row: &Row) -> Result<Service, StoreError> {
    Ok(Service {
        id: read(row, "id")?,
        service: read(row, "service")?,
        host: read(row, "host")?,
        version: read(row, "version")?,
        started_at: read(row, "started_at")?,
        last_seen: read(row, "last_seen")?,
    })
}
