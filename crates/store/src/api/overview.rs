//! The overview for support: running services, and deliveries that wait.

use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::StoreError;
use crate::instances::ALIVE_TIMEOUT;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// A process that is alive.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its identity, new with each start.
    pub id: Uuid,
    /// Its service.
    pub service: String,
    /// The host that it runs on.
    pub host: String,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last renewed its row.
    pub last_seen: Timestamp,
}

/// The number and age of the pending deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    /// The number of pending deliveries.
    pub deliveries: i64,
    /// When the event of the oldest one happened.
    pub oldest: Option<Timestamp>,
}

/// The backlog of all webhooks.
#[derive(Debug, Clone, Copy)]
pub struct Backlog {
    /// Pending deliveries, including deliveries between two attempts.
    pub waiting: i64,
    /// Pending deliveries that are due.
    pub due: i64,
    /// Seconds for which the oldest delivery is due. Redeliveries do not count.
    pub overdue_seconds: f64,
}

/// Lists the processes that are alive.
///
/// # Errors
/// When the database fails.
pub async fn list_services(store: &Store) -> Result<Vec<Service>, StoreError> {
    let rows = store.query(sql!("overview/services"), &[&ALIVE_TIMEOUT.as_secs_f64()]).await?;
    rows.iter().map(read_service).collect()
}

/// Counts the pending deliveries of all webhooks.
///
/// # Errors
/// When the database fails.
pub async fn count_waiting(store: &Store) -> Result<Waiting, StoreError> {
    let row = store.query_opt(sql!("overview/waiting"), &[]).await?;
    let row = row.ok_or_else(|| StoreError::Unreadable("no answer to a count".to_owned()))?;
    Ok(Waiting { deliveries: read(&row, "waiting")?, oldest: read(&row, "oldest")? })
}

/// Measures the backlog of all webhooks.
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

/// Counts the webhooks of each status, without deleted ones.
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
