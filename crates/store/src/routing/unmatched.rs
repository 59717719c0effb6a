//! Recording what became of events that were not stored: they were dropped or rejected, or published again.

use domain::event::{RejectReason, Rejection};
use domain::ids::{BrandId, EventId};
use domain::time::Timestamp;

use crate::db::Executor;
use crate::error::StoreError;

/// An event that was matched with no webhook, because it was rejected or its type is not enabled for the brand.
#[derive(Debug, Clone)]
pub struct UnmatchedEvent {
    /// The brand that it names, which may not exist.
    pub brand_id: BrandId,
    /// The key that would deduplicate it ([`domain::event::Identity`]).
    pub identity: String,
    /// Its id, unless the identity is recorded already.
    pub id: EventId,
    /// When it happened; when it was received if that is not known.
    pub created: Timestamp,
    /// The text of its type, if there is one.
    pub event_type: Option<String>,
    /// The producer's word for searching.
    pub search_key: Option<String>,
    /// When a router received it first.
    pub received: Timestamp,
    /// Why it was rejected; `None` if its type is not enabled.
    pub rejection: Option<Rejection>,
    /// How often it was published, not counting messages that RabbitMQ delivered again.
    pub published: i64,
}

/// Records events that were matched with no webhook. Each identity of a brand may occur once.
///
/// An event whose identity was stored before counts as published again, unless the stored one is from before `earliest`
/// and has expired.
///
/// # Errors
/// When the database fails. Then nothing is recorded, or everything is recorded and only the answer was lost.
pub async fn record_unmatched(
    db: &impl Executor,
    events: &[UnmatchedEvent],
    earliest: Timestamp,
) -> Result<(), StoreError> {
    let reason = |event: &UnmatchedEvent| event.rejection.as_ref().map(|rejection| rejection.reason);
    let brands: Vec<&str> = events.iter().map(|event| event.brand_id.as_str()).collect();
    let identities: Vec<&str> = events.iter().map(|event| event.identity.as_str()).collect();
    let ids: Vec<_> = events.iter().map(|event| event.id.to_uuid()).collect();
    let created: Vec<_> = events.iter().map(|event| event.created).collect();
    let types: Vec<_> = events.iter().map(|event| event.event_type.as_deref()).collect();
    let keys: Vec<_> = events.iter().map(|event| event.search_key.as_deref()).collect();
    let received: Vec<_> = events.iter().map(|event| event.received).collect();
    let reasons: Vec<_> = events.iter().map(|event| reason(event).map(RejectReason::as_str)).collect();
    let details: Vec<_> =
        events.iter().map(|event| event.rejection.as_ref().map(Rejection::detail)).collect();
    let published: Vec<i64> = events.iter().map(|event| event.published).collect();
    let params: crate::db::Params<'_> = &[
        &brands,
        &identities,
        &ids,
        &created,
        &types,
        &keys,
        &received,
        &reasons,
        &details,
        &published,
        &earliest,
    ];
    db.query_rows(sql!("unmatched/record"), params).await.map(drop)
}

/// Counts that stored events were published again: the brand and the deduplication key of each, and how often. Events
/// from before `earliest` have expired and are not counted.
///
/// # Errors
/// When the database fails.
pub async fn count_duplicates(
    db: &impl Executor,
    duplicates: &[(&BrandId, &str, i64)],
    earliest: Timestamp,
) -> Result<(), StoreError> {
    let brands: Vec<&str> = duplicates.iter().map(|(brand, _, _)| brand.as_str()).collect();
    let keys: Vec<&str> = duplicates.iter().map(|(_, key, _)| *key).collect();
    let numbers: Vec<i64> = duplicates.iter().map(|(_, _, number)| *number).collect();
    db.query_rows(sql!("duplicates/count"), &[&brands, &keys, &numbers, &earliest]).await.map(drop)
}
