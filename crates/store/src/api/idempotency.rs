//! Requests with an `Idempotency-Key`: the ids of their events, so that a retry gets the same ids.

use domain::ids::{BrandId, EventId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::read;

/// The SHA-256 of a request's body.
pub type Fingerprint = [u8; 32];

/// The stored part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRequest {
    /// The fingerprint of its body.
    pub fingerprint: Fingerprint,
    /// The ids of its events, in order.
    pub ids: Vec<EventId>,
    /// Whether the broker has confirmed them.
    pub published: bool,
}

/// Stores a request under a brand's key, unless the key is taken. Returns the stored request.
///
/// # Errors
/// When the database fails.
pub async fn keep_request(
    store: &Store,
    brand: &BrandId,
    key: &str,
    request: KeptRequest,
) -> Result<KeptRequest, StoreError> {
    let ids: Vec<Uuid> = request.ids.iter().map(|id| id.to_uuid()).collect();
    let fingerprint = request.fingerprint.as_slice();
    let row = store.query_opt(sql!("idempotency/keep"), &[&brand.as_str(), &key, &fingerprint, &ids]).await?;
    if row.is_some() {
        return Ok(request);
    }
    // A second statement, because the snapshot of the insert may not show the row of a concurrent request.
    Ok(find_request(store, brand, key).await?.unwrap_or(request))
}

/// Finds the request of a brand's key.
///
/// # Errors
/// When the database fails.
pub async fn find_request(
    store: &Store,
    brand: &BrandId,
    key: &str,
) -> Result<Option<KeptRequest>, StoreError> {
    let row = store.query_opt(sql!("idempotency/find"), &[&brand.as_str(), &key]).await?;
    row.as_ref().map(read_request).transpose()
}

/// Marks the request of a key as published.
///
/// # Errors
/// When the database fails.
pub async fn mark_published(store: &Store, brand: &BrandId, key: &str) -> Result<(), StoreError> {
    store.execute(sql!("idempotency/mark_published"), &[&brand.as_str(), &key]).await?;
    Ok(())
}

fn read_request(row: &Row) -> Result<KeptRequest, StoreError> {
    let fingerprint: &[u8] = read(row, "fingerprint")?;
    let ids: Vec<Uuid> = read(row, "ids")?;
    Ok(KeptRequest {
        fingerprint: fingerprint
            .try_into()
            .map_err(|_| StoreError::Unreadable("a fingerprint is not 32 bytes long".to_owned()))?,
        ids: ids.into_iter().map(EventId::from_uuid).collect(),
        published: read(row, "published")?,
    })
}
