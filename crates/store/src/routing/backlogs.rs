//! The brands with a backlog: a queue of their own for the events that routers moved out of the ingest queue.
//!
//! The rows tell every router which queues exist. The figures are for support; they may drift when a router dies, and
//! are set to zero when the queue turns out to be empty.

use domain::ids::BrandId;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// A change of the figures of one brand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BacklogChange {
    /// Events that were moved, minus events that were routed.
    pub events: i64,
    /// Their bytes.
    pub bytes: i64,
}

/// The backlog of one brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandBacklog {
    /// The brand.
    pub brand_id: BrandId,
    /// Events that wait in its queue, by the figures.
    pub waiting_events: i64,
    /// Their bytes.
    pub waiting_bytes: i64,
}

/// Adds the row of a brand, before its queue is declared. Returns whether the brand exists.
///
/// # Errors
/// When the database fails.
pub async fn ensure_backlog(store: &Store, brand_id: &BrandId) -> Result<bool, StoreError> {
    Ok(store.execute(sql!("brand_backlogs/ensure"), &[&brand_id.as_str()]).await? > 0)
}

/// Changes the figures of several brands.
///
/// # Errors
/// When the database fails.
pub async fn change_backlogs(store: &Store, changes: &[(BrandId, BacklogChange)]) -> Result<(), StoreError> {
    let brands: Vec<&str> = changes.iter().map(|(brand_id, _)| brand_id.as_str()).collect();
    let events: Vec<i64> = changes.iter().map(|(_, change)| change.events).collect();
    let bytes: Vec<i64> = changes.iter().map(|(_, change)| change.bytes).collect();
    store.execute(sql!("brand_backlogs/change"), &[&brands, &events, &bytes]).await.map(drop)
}

/// Sets the figures of a brand to zero.
///
/// # Errors
/// When the database fails.
pub async fn clear_backlog(store: &Store, brand_id: &BrandId) -> Result<(), StoreError> {
    store.execute(sql!("brand_backlogs/clear"), &[&brand_id.as_str()]).await.map(drop)
}

/// A page of brands with a backlog, in the order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BacklogPage {
    /// The backlogs.
    pub backlogs: Vec<BrandBacklog>,
    /// The brand after which the next page begins; `None` if this is the last one.
    pub next: Option<BrandId>,
}

/// Lists at most `limit` brands, after the brand `after`, whose figures are not zero, or all brands with a queue.
///
/// # Errors
/// When the database fails.
pub async fn list_backlogs(
    store: &Store,
    all: bool,
    after: Option<&BrandId>,
    limit: i64,
) -> Result<BacklogPage, StoreError> {
    let after = after.map_or("", BrandId::as_str);
    let rows = store.query(sql!("brand_backlogs/list"), &[&all, &after, &limit]).await?;
    let backlog = |row| {
        Ok(BrandBacklog {
            brand_id: read_word(row, "brand_id")?,
            waiting_events: read(row, "waiting_events")?,
            waiting_bytes: read(row, "waiting_bytes")?,
        })
    };
    let backlogs = rows.iter().map(backlog).collect::<Result<Vec<BrandBacklog>, StoreError>>()?;
    let is_full = i64::try_from(backlogs.len()).is_ok_and(|length| length >= limit);
    let next = backlogs.last().filter(|_| is_full).map(|backlog| backlog.brand_id.clone());
    Ok(BacklogPage { backlogs, next })
}
