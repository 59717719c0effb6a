//! Storing events: each event once, with all its deliveries, in one statement for each batch.

use domain::delivery::DeliveryStatus;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time::Timestamp;

use crate::db::Executor;
use crate::error::StoreError;
use crate::pool::Store;
use crate::routing::configuration::NO_VERSION;
use crate::rows::read;

/// Bounds the events of one batch.
pub const MAX_BATCH: usize = 500;
/// Bounds the deliveries of one batch, unless a single event has more. One statement stores them, and events of other
/// brands wait for it: some 10,000 deliveries a second are stored and published, so this is a quarter of a second.
pub const MAX_BATCH_DELIVERIES: usize = 2500;

const _: () = assert!(MAX_BATCH_DELIVERIES as i64 >= domain::limits::MAX_WEBHOOKS_PER_BRAND);

/// An event to store, with its recipients. No two events of a batch have the same brand and key.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// The brand that it belongs to.
    pub brand_id: &'a BrandId,
    /// The key that it is deduplicated by ([`domain::event::Identity`]).
    pub key: &'a str,
    /// Its id, if it is not a duplicate.
    pub id: EventId,
    /// When it happened.
    pub created: Timestamp,
    /// When a router received it first.
    pub received: Timestamp,
    /// The producer's word for searching.
    pub search_key: Option<&'a str>,
    /// Its type.
    pub event_type: &'a str,
    /// The data, byte for byte.
    pub data: &'a str,
    /// The webhooks that receive it.
    pub recipients: &'a [Recipient],
}

/// A webhook that receives an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient {
    /// The webhook.
    pub webhook: WebhookId,
    /// The generation of the delivery.
    pub generation: i32,
    /// Whether the webhook is disabled, so that the delivery is stored as `held` and not queued.
    pub held: bool,
}

/// The result of storing a batch.
#[derive(Debug)]
pub enum Ingest {
    /// Nothing was stored, because the configuration has changed.
    Stale,
    /// All events are stored.
    Stored {
        /// For each event, in the order of the batch: whether it is new and not a duplicate.
        fresh: Vec<bool>,
    },
}

/// A stored event some of whose deliveries have no attempt yet.
#[derive(Debug)]
pub struct OwedEvent {
    /// The event.
    pub id: EventId,
    /// When it happened, as stored.
    pub created: Timestamp,
    /// The webhooks whose delivery has no attempt yet.
    pub recipients: Vec<Recipient>,
}

/// The columns of a batch, as parameters of the statement.
#[derive(Default)]
struct Columns<'a> {
    brands: Vec<&'a str>,
    keys: Vec<&'a str>,
    ids: Vec<uuid::Uuid>,
    created: Vec<Timestamp>,
    received: Vec<Timestamp>,
    search_keys: Vec<Option<&'a str>>,
    types: Vec<&'a str>,
    data: Vec<&'a str>,
    places: Vec<i64>,
    webhooks: Vec<uuid::Uuid>,
    generations: Vec<i32>,
    statuses: Vec<&'a str>,
}

/// Stores a batch that was matched against routing version `version`, or nothing if the configuration has changed.
///
/// # Errors
/// When the database fails. Then nothing is stored, or everything is stored and only the answer was lost.
pub async fn store_events(
    db: &impl Executor,
    version: i64,
    batch: &[NewEvent<'_>],
) -> Result<Ingest, StoreError> {
    let c = to_columns(batch);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 13] = [
        &version,
        &c.brands,
        &c.keys,
        &c.ids,
        &c.created,
        &c.types,
        &c.data,
        &c.places,
        &c.webhooks,
        &c.generations,
        &c.statuses,
        &c.received,
        &c.search_keys,
    ];
    let rows = db.query_rows(sql!("ingest/store"), &params).await?;
    let row = rows.first().ok_or_else(|| {
        StoreError::Unreadable("the statement that stores events returned no row".to_owned())
    })?;
    if read::<i64>(row, "version")? != version {
        return Ok(Ingest::Stale);
    }
    let mut fresh = vec![false; batch.len()];
    for place in read::<Vec<i64>>(row, "fresh")? {
        if let Some(slot) = usize::try_from(place - 1).ok().and_then(|at| fresh.get_mut(at)) {
            *slot = true;
        }
    }
    Ok(Ingest::Stored { fresh })
}

/// Checks that events can be stored, by running the same statement with an empty batch.
///
/// # Errors
/// When PostgreSQL does not answer, or refuses the statement for any events.
pub async fn probe_storing(store: &Store) -> Result<(), StoreError> {
    store_events(store, NO_VERSION, &[]).await.map(drop)
}

fn to_columns<'a>(batch: &'a [NewEvent<'a>]) -> Columns<'a> {
    let mut columns = Columns::default();
    for (event, place) in batch.iter().zip(1i64..) {
        columns.brands.push(event.brand_id.as_str());
        columns.keys.push(event.key);
        columns.ids.push(event.id.to_uuid());
        columns.created.push(event.created);
        columns.received.push(event.received);
        columns.search_keys.push(event.search_key);
        columns.types.push(event.event_type);
        // An event without recipients has a row without data.
        columns.data.push(if event.recipients.is_empty() { "" } else { event.data });
        for recipient in event.recipients {
            let status = if recipient.held { DeliveryStatus::Held } else { DeliveryStatus::Pending };
            columns.places.push(place);
            columns.webhooks.push(recipient.webhook.0);
            columns.generations.push(recipient.generation);
            columns.statuses.push(status.as_str());
        }
    }
    columns
}

/// Finds the deliveries without any attempt of stored events, each given by its brand and key.
///
/// The answer is in the order of `events`, with `None` for an event without such deliveries.
///
/// # Errors
/// When the database fails.
pub async fn find_owed(
    store: &Store,
    events: &[(&BrandId, &str)],
) -> Result<Vec<Option<OwedEvent>>, StoreError> {
    let brands: Vec<&str> = events.iter().map(|(brand, _)| brand.as_str()).collect();
    let keys: Vec<&str> = events.iter().map(|(_, key)| *key).collect();
    let mut owed: Vec<Option<OwedEvent>> = events.iter().map(|_| None).collect();
    for row in &store.query(sql!("ingest/owed"), &[&brands, &keys]).await? {
        let place: i64 = read(row, "place")?;
        let Some(slot) = usize::try_from(place - 1).ok().and_then(|at| owed.get_mut(at)) else { continue };
        let recipient = Recipient {
            webhook: WebhookId(read(row, "webhook_id")?),
            generation: read(row, "generation")?,
            held: false,
        };
        let event = match slot {
            Some(event) => event,
            None => slot.insert(OwedEvent {
                id: EventId::from_uuid(read(row, "event_id")?),
                created: read(row, "created")?,
                recipients: Vec::new(),
            }),
        };
        event.recipients.push(recipient);
    }
    Ok(owed)
}
