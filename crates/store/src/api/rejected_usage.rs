//! How much each brand has put into the queue of rejected messages, by day.

use tokio_postgres::Row;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::read;

/// The usage of a brand, or an addition to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectedUsage {
    /// The brand, or [`NO_BRAND`](domain::rejected_share::NO_BRAND).
    pub brand: String,
    /// Messages in the queue, as far as the platform put and took them.
    pub messages: i64,
    /// Bytes of their bodies.
    pub bytes: i64,
    /// Messages that did not fit into the share.
    pub dropped_messages: i64,
    /// Bytes of their bodies.
    pub dropped_bytes: i64,
}

/// Adds to the usage of today.
///
/// # Errors
/// When the database fails.
pub async fn add_usage(store: &Store, added: &[RejectedUsage]) -> Result<(), StoreError> {
    if added.is_empty() {
        return Ok(());
    }
    let brands: Vec<&str> = added.iter().map(|usage| usage.brand.as_str()).collect();
    let column = |value: fn(&RejectedUsage) -> i64| added.iter().map(value).collect::<Vec<i64>>();
    let messages = column(|usage| usage.messages);
    let bytes = column(|usage| usage.bytes);
    let dropped_messages = column(|usage| usage.dropped_messages);
    let dropped_bytes = column(|usage| usage.dropped_bytes);
    let params: crate::db::Params<'_> = &[&brands, &messages, &bytes, &dropped_messages, &dropped_bytes];
    store.execute(sql!("rejected_usage/add"), params).await.map(|_| ())
}

/// Messages of a brand that left the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FreedUsage {
    /// The brand, or [`NO_BRAND`](domain::rejected_share::NO_BRAND).
    pub brand: String,
    /// Number of messages.
    pub messages: i64,
    /// Bytes of the messages.
    pub bytes: i64,
}

/// Takes messages that left the queue from the usage of the last `days` days, beginning with the oldest day.
///
/// The usage of a day does not fall below zero, because the rest would become room beyond the share. Usage that a router
/// has not added yet is therefore not freed.
///
/// # Errors
/// When the database fails.
pub async fn free_usage(store: &Store, days: i32, freed: &[FreedUsage]) -> Result<(), StoreError> {
    if freed.is_empty() {
        return Ok(());
    }
    let brands: Vec<&str> = freed.iter().map(|usage| usage.brand.as_str()).collect();
    let messages: Vec<i64> = freed.iter().map(|usage| usage.messages).collect();
    let bytes: Vec<i64> = freed.iter().map(|usage| usage.bytes).collect();
    store.execute(sql!("rejected_usage/free"), &[&days, &brands, &messages, &bytes]).await.map(|_| ())
}

/// Loads the usage of the last `days` days and of today: of at most `limit` brands, those with the most bytes.
///
/// # Errors
/// When the database fails.
pub async fn load_usage(store: &Store, days: i32, limit: i64) -> Result<Vec<RejectedUsage>, StoreError> {
    store.query(sql!("rejected_usage/load"), &[&days, &limit]).await?.iter().map(read_usage).collect()
}

/// Sets the usage to nothing, because the queue was emptied.
///
/// # Errors
/// When the database fails.
pub async fn reset_usage(store: &Store) -> Result<(), StoreError> {
    store.execute(sql!("rejected_usage/reset"), &[]).await.map(|_| ())
}

fn read_usage(row: &Row) -> Result<RejectedUsage, StoreError> {
    Ok(RejectedUsage {
        brand: read(row, "brand_id")?,
        messages: read(row, "messages")?,
        bytes: read(row, "bytes")?,
        dropped_messages: read(row, "dropped_messages")?,
        dropped_bytes: read(row, "dropped_bytes")?,
    })
}
