//! "Where is my event?": finds an event by its id or `message_id`, and loads it with its deliveries.

mod listing;
mod webhooks;

pub use listing::{EventPage, EventRange, list_events};
pub use webhooks::{
    EventDelivery, EventWebhook, QueueState, WebhookVersion, list_event_webhooks, measure_queues,
};

use domain::event::Identity;
use domain::ids::{BrandId, EventId};
use domain::limits::MAX_MESSAGE_ID_CHARS;
use domain::lookup::Disposition;
use domain::time::Timestamp;
use tokio_postgres::Row;

use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// Most events that one lookup finds in one table, because all brands may use the same id.
pub const MAX_FOUND: i64 = 100;

/// An event that was found, in the order of [`find_events`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEvent {
    /// The brand.
    pub brand_id: BrandId,
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub created: Timestamp,
    /// Whether its identity is stored. Otherwise it was dropped or rejected.
    pub stored: bool,
}

/// An event with its disposition, without its data and deliveries.
#[derive(Debug, Clone)]
pub struct EventRecord {
    /// Its id.
    pub id: EventId,
    /// The brand.
    pub brand_id: BrandId,
    /// When it happened.
    pub created: Timestamp,
    /// When a router received it first, or `created` if an earlier version of the router did not store it.
    pub received: Timestamp,
    /// The text of its type; `None` if it is not known.
    pub event_type: Option<String>,
    /// The producer's word for searching.
    pub key: Option<String>,
    /// Whether it is a test event.
    pub test: bool,
    /// Its disposition.
    pub disposition: Disposition,
    /// The code of the rejection with its explanation.
    pub rejection: Option<(String, String)>,
}

/// An event with all that a lookup shows of it.
#[derive(Debug, Clone)]
pub struct EventDetails {
    /// The event.
    pub event: EventRecord,
    /// The data, byte for byte; `None` if no webhook wanted it.
    pub data: Option<String>,
    /// How often it was published again.
    pub duplicates: i64,
    /// The version of the configuration that it was matched against, if that is known.
    pub routing_version: Option<i64>,
}

/// Finds the events with this id or `message_id`, of one brand or of all: one for each brand, the newest first. Identities
/// of events from before `earliest` are ignored, because they would hide a later event that has the same one.
///
/// # Errors
/// When the database fails.
pub async fn find_events(
    db: &impl Executor,
    brand: Option<&BrandId>,
    id_or_message_id: &str,
    earliest: Timestamp,
) -> Result<Vec<FoundEvent>, StoreError> {
    let Some(text) = as_message_id(id_or_message_id) else { return Ok(Vec::new()) };
    let id: Option<EventId> = text.parse().ok();
    let message_key = Identity::MessageId(text.to_owned()).to_string();
    let id_key = id.map(|id| Identity::Id(id).to_string());
    let id = id.map(EventId::to_uuid);
    let rows = match brand {
        Some(brand) => {
            let params: crate::db::Params<'_> =
                &[&brand.as_str(), &message_key, &id_key, &id, &MAX_FOUND, &earliest];
            db.query_rows(sql!("lookup/find_of_brand"), params).await?
        }
        None => {
            let params: crate::db::Params<'_> = &[&message_key, &id_key, &id, &MAX_FOUND, &earliest];
            db.query_rows(sql!("lookup/find"), params).await?
        }
    };
    let found = rows.iter().map(read_found).collect::<Result<Vec<_>, _>>()?;
    Ok(choose_of_each_brand(found))
}

/// Returns the text if it can be a `message_id`. Every id can be one.
fn as_message_id(text: &str) -> Option<&str> {
    let fits = !text.is_empty() && text.chars().count() <= MAX_MESSAGE_ID_CHARS && !text.contains('\0');
    fits.then_some(text)
}

/// Keeps one event of each brand: a stored one before others, then the newest. Sorts them by age.
fn choose_of_each_brand(mut found: Vec<FoundEvent>) -> Vec<FoundEvent> {
    found.sort_by(|a, b| {
        let key = |event: &FoundEvent| (event.stored, event.created, event.id);
        a.brand_id.cmp(&b.brand_id).then_with(|| key(b).cmp(&key(a)))
    });
    found.dedup_by(|later, earlier| later.brand_id == earlier.brand_id);
    found.sort_by_key(|event| std::cmp::Reverse((event.created, event.id)));
    found
}

fn read_found(row: &Row) -> Result<FoundEvent, StoreError> {
    Ok(FoundEvent {
        brand_id: read_word(row, "brand_id")?,
        id: EventId::from_uuid(read(row, "id")?),
        created: read(row, "created")?,
        stored: read(row, "stored")?,
    })
}

/// Loads an event that was found; `None` if it expired meanwhile. Events from before `earliest` have expired.
///
/// # Errors
/// When the database fails.
pub async fn load_event(
    db: &impl Executor,
    found: &FoundEvent,
    earliest: Timestamp,
) -> Result<Option<EventDetails>, StoreError> {
    let params: crate::db::Params<'_> = &[&found.brand_id.as_str(), &found.id.to_uuid(), &found.created];
    if found.stored {
        let row = db.query_row(sql!("lookup/load"), params).await?;
        let details = row.as_ref().map(|row| read_stored(row, found)).transpose()?;
        // A router of the release before keeps only the key of an event without webhooks, as long as that of an expired
        // one.
        return Ok(details.filter(|details| details.event.event_type.is_some() || found.created >= earliest));
    }
    let row = db.query_row(sql!("lookup/load_unmatched"), params).await?;
    row.as_ref().map(|row| read_unmatched(row, found)).transpose()
}

fn read_stored(row: &Row, found: &FoundEvent) -> Result<EventDetails, StoreError> {
    let data: Option<String> = read(row, "data")?;
    let data = data.filter(|data| !data.is_empty());
    let received: Option<Timestamp> = read(row, "received")?;
    let test: Option<bool> = read(row, "test")?;
    let event = EventRecord {
        id: found.id,
        brand_id: found.brand_id.clone(),
        created: found.created,
        received: received.unwrap_or(found.created),
        event_type: read(row, "type")?,
        key: read(row, "key")?,
        test: test.unwrap_or(false),
        disposition: if data.is_some() { Disposition::Routed } else { Disposition::NoWebhook },
        rejection: None,
    };
    let duplicates = read(row, "duplicates")?;
    Ok(EventDetails { event, data, duplicates, routing_version: read(row, "routing_version")? })
}

fn read_unmatched(row: &Row, found: &FoundEvent) -> Result<EventDetails, StoreError> {
    let rejection = read_rejection(row)?;
    let event = EventRecord {
        id: found.id,
        brand_id: found.brand_id.clone(),
        created: found.created,
        received: read(row, "received")?,
        event_type: read(row, "type")?,
        key: read(row, "key")?,
        test: false,
        disposition: if rejection.is_some() { Disposition::Rejected } else { Disposition::NotEnabled },
        rejection,
    };
    Ok(EventDetails { event, data: None, duplicates: read(row, "duplicates")?, routing_version: None })
}

fn read_rejection(row: &Row) -> Result<Option<(String, String)>, StoreError> {
    let reason: Option<String> = read(row, "reason")?;
    let detail: Option<String> = read(row, "detail")?;
    Ok(reason.map(|reason| (reason, detail.unwrap_or_default())))
}

/// Reads an event from a list. The brand is a column, or known.
pub(crate) fn read_listed(row: &Row, brand_id: BrandId, id: EventId) -> Result<EventRecord, StoreError> {
    let created: Timestamp = read(row, "event_created")?;
    let received: Option<Timestamp> = read(row, "received")?;
    Ok(EventRecord {
        id,
        brand_id,
        created,
        received: received.unwrap_or(created),
        event_type: read(row, "type")?,
        key: read(row, "key")?,
        test: read(row, "test")?,
        disposition: read_word(row, "disposition")?,
        rejection: read_rejection(row)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(brand: &str, at: i64, stored: bool) -> FoundEvent {
        FoundEvent {
            brand_id: brand.parse().expect("a brand"),
            id: EventId::generate(u64::try_from(at).expect("a time")),
            created: Timestamp::from_timestamp_millis(at).expect("a time"),
            stored,
        }
    }

    #[test]
    fn a_stored_event_hides_the_others_of_its_brand_and_the_newest_brand_is_first() {
        let events = [found("a", 1, true), found("a", 9, false), found("b", 5, false), found("b", 7, false)];
        let chosen = choose_of_each_brand(events.to_vec());
        assert_eq!(chosen, [events[3].clone(), events[0].clone()]);
    }

    #[test]
    fn a_text_that_is_no_message_id_finds_nothing() {
        assert_eq!(as_message_id(""), None);
        assert_eq!(as_message_id("a\0"), None);
        assert_eq!(as_message_id(&"é".repeat(129)), None);
        let longest = "é".repeat(128);
        assert_eq!(as_message_id(&longest), Some(longest.as_str()));
    }
}
