//! The overview for support: running services, and deliveries that wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::WebhookId;
use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::delivery::search_floors::{Search, SearchFloors};
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

/// Webhooks that one statement counts, so that none takes long.
const WEBHOOKS_PER_STATEMENT: usize = 50;
/// Webhooks that are listed by one statement.
const WEBHOOK_PAGE_SIZE: i64 = 1000;
/// Most deliveries that are counted for one webhook. People need its magnitude, and counting must not cost
/// more the longer an endpoint is away.
pub const MAX_COUNTED_PER_WEBHOOK: i64 = 10_000;
/// Deliveries that one measurement counts before it only looks at the oldest ones of each further webhook. It keeps a
/// measurement below some seconds, whatever all brands together have pending.
const MAX_COUNTED: i64 = 500_000;
/// Most deliveries that are counted for each further webhook then. They still tell how late it is.
const MAX_COUNTED_BRIEFLY: i64 = 100;
/// A measurement is reused for this many times its duration.
const REUSE_FACTOR: u32 = 100;
/// Longest time for which a measurement is reused, so that the overview is current.
const MAX_REUSE: Duration = Duration::from_secs(5);

/// The backlog of all webhooks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backlog {
    /// Pending deliveries, including deliveries between two attempts.
    pub waiting: i64,
    /// Whether there are more than were counted ([`MAX_COUNTED_PER_WEBHOOK`]).
    pub more: bool,
    /// Pending deliveries that are due.
    pub due: i64,
    /// When the delivery is due that is due first. First attempts of redeliveries do not count.
    pub first_due: Option<Timestamp>,
    /// The webhook of that delivery.
    pub first_due_webhook: Option<WebhookId>,
    /// The backlogs of the webhooks that have one.
    pub webhooks: Arc<HashMap<WebhookId, WebhookBacklog>>,
}

/// The backlog of one webhook.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookBacklog {
    /// Pending deliveries, as far as they were counted: [`MAX_COUNTED_PER_WEBHOOK`] at most, and fewer once many were counted
    /// for other webhooks.
    pub waiting: i64,
    /// Whether there are more.
    pub more: bool,
    /// When the delivery is due that is due first.
    pub first_due: Option<Timestamp>,
}

/// Measures the backlog of all webhooks at a cost that does not grow with it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct BacklogMeter(Arc<Meter>);

#[derive(Debug, Default)]
struct Meter {
    floors: SearchFloors,
    last: Mutex<Option<Measurement>>,
}

#[derive(Debug, Clone)]
struct Measurement {
    backlog: Backlog,
    ended: Instant,
    took: Duration,
}

impl BacklogMeter {
    /// Measures the backlog, or returns a measurement that is as old as a hundred times its duration at most. Callers
    /// that come at the same time share one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn measure(&self, store: &Store) -> Result<Backlog, StoreError> {
        let mut last = self.0.last.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.is_current()) {
            return Ok(last.backlog.clone());
        }
        let began = Instant::now();
        let backlog = self.measure_all(store).await?;
        *last = Some(Measurement { backlog: backlog.clone(), ended: Instant::now(), took: began.elapsed() });
        Ok(backlog)
    }

    async fn measure_all(&self, store: &Store) -> Result<Backlog, StoreError> {
        let webhooks = list_webhook_ids(store).await?;
        self.0.floors.retain(webhooks.iter().copied());
        let search = self.0.floors.begin_search(&webhooks);
        match count_pending(store, &search).await {
            Ok((backlog, oldest)) => {
                self.0.floors.end_search(search, oldest);
                Ok(backlog)
            }
            Err(error) => {
                self.0.floors.abandon_search(search, &error);
                Err(error)
            }
        }
    }
}

impl Measurement {
    fn is_current(&self) -> bool {
        self.ended.elapsed() < (self.took * REUSE_FACTOR).min(MAX_REUSE)
    }
}

/// Counts the pending deliveries of a search. Also returns the oldest one of each webhook that has any.
async fn count_pending(
    store: &Store,
    search: &Search,
) -> Result<(Backlog, Vec<(WebhookId, Timestamp)>), StoreError> {
    let mut backlog = Backlog::default();
    let mut oldest = Vec::new();
    let mut by_webhook = HashMap::new();
    let webhooks = search.webhooks.chunks(WEBHOOKS_PER_STATEMENT);
    for (webhooks, since) in webhooks.zip(search.since.chunks(WEBHOOKS_PER_STATEMENT)) {
        let max = if backlog.waiting < MAX_COUNTED { MAX_COUNTED_PER_WEBHOOK } else { MAX_COUNTED_BRIEFLY };
        for row in store.query(sql!("overview/backlog"), &[&webhooks, &since, &(max + 1)]).await? {
            let waiting: i64 = read(&row, "waiting")?;
            backlog.more |= waiting > max;
            backlog.waiting += waiting.min(max);
            backlog.due += read::<i64>(&row, "due")?.min(max);
            let first_due: Option<Timestamp> = read(&row, "first_due")?;
            let webhook = WebhookId(read(&row, "id")?);
            if first_due.is_some_and(|due| backlog.first_due.is_none_or(|first| due < first)) {
                backlog.first_due = first_due;
                backlog.first_due_webhook = Some(webhook);
            }
            by_webhook.insert(
                webhook,
                WebhookBacklog { waiting: waiting.min(max), more: waiting > max, first_due },
            );
            oldest.push((webhook, read(&row, "oldest")?));
        }
    }
    backlog.webhooks = Arc::new(by_webhook);
    Ok((backlog, oldest))
}

async fn list_webhook_ids(store: &Store) -> Result<Vec<WebhookId>, StoreError> {
    let mut webhooks = Vec::new();
    let mut after = Uuid::nil();
    loop {
        let rows = store.query(sql!("overview/webhooks_after"), &[&after, &WEBHOOK_PAGE_SIZE]).await?;
        let Some(last) = rows.last() else { return Ok(webhooks) };
        after = read(last, "id")?;
        for row in &rows {
            webhooks.push(WebhookId(read(row, "id")?));
        }
    }
}

/// Lists the processes that are alive.
///
/// # Errors
/// When the database fails.
pub async fn list_services(store: &Store) -> Result<Vec<Service>, StoreError> {
    let rows = store.query(sql!("overview/services"), &[&ALIVE_TIMEOUT.as_secs_f64()]).await?;
    rows.iter().map(read_service).collect()
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
