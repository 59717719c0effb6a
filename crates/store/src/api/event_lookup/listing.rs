//! Listing the events of a brand, newest first, with and without a webhook that received them.

use domain::event::event_type::TypePattern;
use domain::ids::{BrandId, EventId};
use domain::lookup::Disposition;
use domain::time::Timestamp;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Row};
use uuid::Uuid;

use super::{EventRecord, read_listed};
use crate::delivery::deliveries::{IN_INDEX_ORDER, MAX_SCANNED_ROWS};
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::read;

/// A selection of the events of a brand.
#[derive(Debug, Clone)]
pub struct EventRange {
    /// Only events created at this instant or later,
    pub from: Timestamp,
    /// and before this position.
    pub before: KeysetPosition,
    /// Only events with this key.
    pub key: Option<String>,
    /// Only events of this type or group.
    pub pattern: Option<TypePattern>,
    /// Only events with this disposition.
    pub disposition: Option<Disposition>,
}

/// A page of events.
#[derive(Debug)]
pub struct EventPage {
    /// The events, newest first.
    pub items: Vec<EventRecord>,
    /// The position before which the next page continues, unless the list ended.
    pub more_before: Option<KeysetPosition>,
}

/// Lists at most `limit` events of a brand, fewer if the page reached another bound. A rejected event that was published
/// again without the error is listed once. Events from before `earliest` have expired, and hide no other event.
///
/// # Errors
/// When the database fails.
pub async fn list_events(
    store: &Store,
    brand: &BrandId,
    range: &EventRange,
    limit: i64,
    earliest: Timestamp,
) -> Result<EventPage, StoreError> {
    let pattern = range.pattern.as_ref().filter(|pattern| **pattern != TypePattern::All);
    let pattern = pattern.map(TypePattern::as_str);
    let disposition = range.disposition.map(Disposition::as_str);
    let filters = pattern.is_some() || disposition.is_some();
    let max_scanned = if filters { MAX_SCANNED_ROWS } else { limit + 1 };
    let params: [(&(dyn ToSql + Sync), Type); 10] = [
        (&brand.as_str(), Type::TEXT),
        (&range.from, Type::TIMESTAMPTZ),
        (&range.before.at, Type::TIMESTAMPTZ),
        (&range.before.id, Type::UUID),
        (&range.key, Type::TEXT),
        (&pattern, Type::TEXT),
        (&disposition, Type::TEXT),
        (&(limit + 1), Type::INT8),
        (&max_scanned, Type::INT8),
        (&earliest, Type::TIMESTAMPTZ),
    ];
    let mut client = store.client().await?;
    let options = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).read_only(true);
    let reading = options.start().await?;
    reading.batch_execute(IN_INDEX_ORDER).await?;
    let rows = reading.query_typed(sql!("lookup/page"), &params).await?;
    reading.commit().await?;
    read_page(&rows, brand, limit, max_scanned)
}

fn read_page(rows: &[Row], brand: &BrandId, limit: i64, max_scanned: i64) -> Result<EventPage, StoreError> {
    let mut listed = Vec::new();
    for row in rows {
        if let Some(id) = read::<Option<Uuid>>(row, "event_id")? {
            let republished: bool = read(row, "republished")?;
            listed.push((read_listed(row, brand.clone(), EventId::from_uuid(id))?, republished));
        }
    }
    let is_full = i64::try_from(listed.len()).is_ok_and(|found| found > limit);
    let more_before = if is_full {
        let next = listed.pop();
        // A row of an event that was published again has the event's position. If the page ends between the two, in
        // either order, the next page has neither.
        if let (Some(last), Some(next)) = (listed.last_mut(), next)
            && position_of(&last.0) == position_of(&next.0)
            && last.1
        {
            *last = next;
        }
        listed.last().map(|(event, _)| position_of(event))
    } else {
        find_scan_end(rows, max_scanned)?
    };
    let items = listed.into_iter().filter(|(_, republished)| !republished).map(|(event, _)| event).collect();
    Ok(EventPage { items, more_before })
}

fn position_of(event: &EventRecord) -> KeysetPosition {
    KeysetPosition { at: event.created, id: event.id.to_uuid() }
}

/// Returns the last row that was read, if reading stopped at its bound.
fn find_scan_end(rows: &[Row], max_scanned: i64) -> Result<Option<KeysetPosition>, StoreError> {
    let Some(row) = rows.first() else { return Ok(None) };
    if read::<i64>(row, "scanned")? < max_scanned {
        return Ok(None);
    }
    Ok(Some(KeysetPosition { at: read(row, "end_created")?, id: read(row, "end_id")? }))
}
