//! The events that wait for a brand, because routers moved them into the brand's own backlog.

use std::collections::HashMap;

use domain::ids::BrandId;
use domain::quota::DEFAULT_WAITING_BYTES;
use domain::time::Timestamp;
use tokio_postgres::Row;

use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// The events that wait for a brand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Number of waiting events.
    pub events: i64,
    /// Size of their messages.
    pub bytes: i64,
    /// Since when events wait without a break.
    pub since: Timestamp,
}

/// Loads the backlogs of these brands. A brand without waiting events is left out.
///
/// # Errors
/// When the database fails.
pub async fn load_backlogs(
    db: &impl Executor,
    brands: &[&str],
) -> Result<HashMap<BrandId, Backlog>, StoreError> {
    let rows = db.query_rows(sql!("backlogs/of_brands"), &[&brands]).await?;
    rows.iter().map(|row| Ok((read_word(row, "brand_id")?, read_backlog(row)?))).collect()
}

/// Lists the brands with as many waiting bytes as their quota allows, or more.
///
/// # Errors
/// When the database fails.
pub async fn list_full_backlogs(db: &impl Executor) -> Result<Vec<BrandId>, StoreError> {
    let default = i64::try_from(DEFAULT_WAITING_BYTES).unwrap_or(i64::MAX);
    let rows = db.query_rows(sql!("backlogs/full"), &[&default]).await?;
    rows.iter().map(|row| read_word(row, "brand_id")).collect()
}

fn read_backlog(row: &Row) -> Result<Backlog, StoreError> {
    Ok(Backlog {
        events: read(row, "waiting_events")?,
        bytes: read(row, "waiting_bytes")?,
        since: read(row, "since")?,
    })
}
