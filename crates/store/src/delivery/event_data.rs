//! The data of events that is too large for messages.

use domain::ids::{BrandId, EventId};
use domain::time::Timestamp;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::read;

/// Largest data that pages of due deliveries contain. Larger data is loaded when its attempt is due, because a webhook's
/// page has hundreds of deliveries.
pub const MAX_PAGE_DATA_BYTES: i32 = 1024;

/// The key of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKey {
    /// The event.
    pub id: EventId,
    /// Its brand.
    pub brand_id: BrandId,
    /// When it happened.
    pub created: Timestamp,
}

/// Loads the data of events, byte for byte; `None` for an event that has expired.
///
/// # Errors
/// When the database fails.
pub async fn load_data(store: &Store, events: &[EventKey]) -> Result<Vec<Option<String>>, StoreError> {
    let ids: Vec<_> = events.iter().map(|key| key.id.to_uuid()).collect();
    let brands: Vec<_> = events.iter().map(|key| key.brand_id.as_str()).collect();
    let created: Vec<_> = events.iter().map(|key| key.created).collect();
    let mut found = vec![None; events.len()];
    for row in store.query(sql!("events/load_data"), &[&ids, &brands, &created]).await? {
        let place: i64 = read(&row, "place")?;
        if let Some(slot) = usize::try_from(place - 1).ok().and_then(|at| found.get_mut(at)) {
            *slot = read(&row, "data")?;
        }
    }
    Ok(found)
}
