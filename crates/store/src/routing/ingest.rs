//! Taking events: once each, with all their deliveries, in one statement a batch.

use domain::delivery::DeliveryStatus;
use domain::ids::{BrandId, EventId, WebhookId};
use domain::time::Timestamp;

use crate::db::Executor;
use crate::error::StoreError;
use crate::pool::Store;
use crate::routing::configuration::NO_VERSION;
use crate::rows::read;

/// Most events of one batch.
pub const MAX_BATCH: usize = 500;

/// An event to take, matched already. No two of a batch have the same brand and key.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// Whose it is.
    pub brand_id: &'a BrandId,
    /// What it is deduplicated by ([`domain::event::Identity`]).
    pub key: &'a str,
    /// Its identity, should it be fresh.
    pub id: EventId,
    /// When it happened.
    pub created: Timestamp,
    /// What happened.
    pub event_type: &'a str,
    /// The data, byte for byte.
    pub data: &'a str,
    /// The webhooks that want it.
    pub recipients: &'a [Recipient],
}

/// A webhook that wants an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient {
    /// The webhook.
    pub webhook: WebhookId,
    /// The generation that the delivery belongs to.
    pub generation: i32,
    /// Whether it is disabled: then the delivery is kept as `held` and not queued.
    pub held: bool,
}

/// What became of a batch.
#[derive(Debug)]
pub enum Ingest {
    /// Nothing was written: the configuration is another by now.
    Stale,
    /// Everything is stored; for each event of the batch whether it was fresh, not a duplicate.
    Stored {
        /// In the order of the batch.
        fresh: Vec<bool>,
    },
}

/// An event that was stored before, with the deliveries that it still owes.
#[derive(Debug)]
pub struct OwedEvent {
    /// The event's identity.
    pub id: EventId,
    /// When it happened, as it was taken first.
    pub created: Timestamp,
    /// The webhooks that nothing was recorded for yet, each with its delivery's generation.
    pub recipients: Vec<Recipient>,
}

/// The columns of a batch, as the statement takes them.
#[derive(Default)]
struct Columns<'a> {
    brands: Vec<&'a str>,
    keys: Vec<&'a str>,
    ids: Vec<uuid::Uuid>,
    created: Vec<Timestamp>,
    types: Vec<&'a str>,
    data: Vec<&'a str>,
    places: Vec<i64>,
    webhooks: Vec<uuid::Uuid>,
    generations: Vec<i32>,
    statuses: Vec<&'a str>,
}

/// Stores a batch that was matched against routing `version`: all of it or, when the
/// configuration has changed, nothing.
///
/// # Errors
/// When the database fails; then nothing is stored, or all of it and the answer was lost.
pub async fn store_events(
    db: &impl Executor,
    version: i64,
    batch: &[NewEvent<'_>],
) -> Result<Ingest, StoreError> {
    let c = to_columns(batch);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 11] = [
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
    ];
    let rows = db.query_rows(sql!("ingest/store"), &params).await?;
    let row = rows.first().ok_or_else(|| StoreError::Unreadable("no answer to an ingest".to_owned()))?;
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

/// Whether events are stored at all: the same statement with an empty batch.
///
/// # Errors
/// When PostgreSQL is away, or refuses the statement whatever the events.
pub async fn probe_storing(store: &Store) -> Result<(), StoreError> {
    self::store_events(store, NO_VERSION, &[]).await.map(drop)
}

fn to_columns<'a>(batch: &'a [NewEvent<'a>]) -> Columns<'a> {
    let mut columns = Columns::default();
    for (event, place) in batch.iter().zip(1i64..) {
        columns.brands.push(event.brand_id.as_str());
        columns.keys.push(event.key);
        columns.ids.push(event.id.to_uuid());
        columns.created.push(event.created);
        columns.types.push(event.event_type);
        // An event that nobody wants leaves its key only.
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

/// Finds the deliveries without any attempt of events that were stored before, each given by its brand and key. The
/// answer is in the order of `events`, and `None` for an event that owes nothing.
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
