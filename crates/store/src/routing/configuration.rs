//! The configuration of router and deliverer, loaded as the changes since a known version.

use domain::delivery::DeliveryStatus;
use domain::event::catalogue::Enablement;
use domain::event::event_type::TypePattern;
use domain::ids::{BrandId, WebhookId};
use domain::quota::BrandQuota;
use domain::time::Timestamp;
use domain::webhook::signature::Keys;
use domain::webhook::{CustomHeaders, WebhookStatus};
use tokio_postgres::Row;

use crate::db::Executor;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_quotas, read_word};
use crate::secrets::headers::read_headers;
use crate::secrets::keyring::SecretKeyring;

/// The version of a process that has loaded nothing yet.
pub const NO_VERSION: i64 = 0;

/// An event type that changed.
#[derive(Debug)]
pub struct EventTypeChange {
    /// The name of the type.
    pub name: String,
    /// Whether it was removed.
    pub removed: bool,
    /// The JSON Schema of its events, if it is enforced.
    pub enforced_schema: Option<String>,
}

/// A brand that changed.
#[derive(Debug)]
pub struct BrandChange {
    /// The brand.
    pub id: BrandId,
    /// The event types that it may receive.
    pub enablement: Enablement,
    /// How much it may publish, and how much of it may wait.
    pub quotas: BrandQuota,
}

/// A webhook that changed, as the router needs it.
#[derive(Debug)]
pub struct RoutingChange {
    /// The webhook.
    pub id: WebhookId,
    /// The brand that it belongs to.
    pub brand_id: BrandId,
    /// The types and groups that it subscribes to.
    pub events: Vec<TypePattern>,
    /// Its status.
    pub status: WebhookStatus,
    /// The generation of its new deliveries.
    pub generation: i32,
}

/// All changes of the configuration that the router reads.
#[derive(Debug)]
pub struct RoutingChanges {
    /// The version after these changes, at least.
    pub version: i64,
    /// Event types.
    pub event_types: Vec<EventTypeChange>,
    /// Brands.
    pub brands: Vec<BrandChange>,
    /// Webhooks.
    pub webhooks: Vec<RoutingChange>,
}

/// A webhook that changed, as the deliverer needs it.
#[derive(Debug, Clone)]
pub struct DeliveryChange {
    /// The webhook.
    pub id: WebhookId,
    /// The brand that it belongs to.
    pub brand_id: BrandId,
    /// The URL of its endpoint.
    pub endpoint: String,
    /// Custom headers.
    pub headers: CustomHeaders,
    /// Its status.
    pub status: WebhookStatus,
    /// Its generation. Deliveries of older generations are closed and not attempted.
    pub generation: i32,
    /// Generations below this one are closed in the database.
    pub closed_generation: i32,
    /// The status that pending deliveries of ended generations get.
    pub closing_status: DeliveryStatus,
    /// Maximum number of requests in flight.
    pub max_concurrency: i32,
    /// Maximum number of requests per second.
    pub rate_per_second: Option<i32>,
    /// The keys that sign every request; `None` for a deleted webhook, which gets no more requests.
    pub keys: Option<Keys>,
    /// The old keys, and the instant until which they also sign.
    pub previous_keys: Option<(Keys, Timestamp)>,
}

/// Loads the version of the whole configuration, which every change increases.
///
/// # Errors
/// When the database fails.
pub async fn load_version(store: &Store) -> Result<i64, StoreError> {
    let row = store.query_opt(sql!("configuration/version"), &[]).await?;
    row.as_ref().map_or(Ok(NO_VERSION), |row| read(row, "version"))
}

/// Loads the version of the configuration that the router reads.
///
/// Changes of event types and their enforced schemas, of the types that brands may receive, of their
/// quotas, and of the subscriptions
/// and status of webhooks increase it.
///
/// # Errors
/// When the database fails.
pub async fn load_routing_version(db: &impl Executor) -> Result<i64, StoreError> {
    let row = db.query_row(sql!("configuration/routing_version"), &[]).await?;
    row.as_ref().map_or(Ok(NO_VERSION), |row| read(row, "version"))
}

/// Loads the changes after version `known` for the router.
///
/// # Errors
/// When the database fails, or holds a value that this program does not know.
pub async fn load_routing_changes(db: &impl Executor, known: i64) -> Result<RoutingChanges, StoreError> {
    // The version is read first, so that a change during these statements is loaded again and not missed.
    let version = load_routing_version(db).await?;
    let event_types = db.query_rows(sql!("configuration/event_types"), &[&known]).await?;
    let brands = db.query_rows(sql!("configuration/brands"), &[&known]).await?;
    let webhooks = db.query_rows(sql!("configuration/webhooks_for_routing"), &[&known]).await?;
    Ok(RoutingChanges {
        version,
        event_types: event_types.iter().map(read_event_type_change).collect::<Result<_, _>>()?,
        brands: brands.iter().map(read_brand_change).collect::<Result<_, _>>()?,
        webhooks: webhooks.iter().map(read_routing_change).collect::<Result<_, _>>()?,
    })
}

/// Loads the webhooks that changed after version `known` for the deliverer, and the version after these changes.
///
/// A webhook whose secret cannot be read yields an error of its own, so that it does not stop the others.
///
/// # Errors
/// When the database fails.
pub async fn load_delivery_changes(
    store: &Store,
    keyring: &SecretKeyring,
    known: i64,
) -> Result<(i64, Vec<(WebhookId, Result<DeliveryChange, StoreError>)>), StoreError> {
    let version = load_version(store).await?;
    if version == known {
        return Ok((version, Vec::new()));
    }
    let rows = store.query(sql!("configuration/webhooks_for_delivery"), &[&known]).await?;
    let change = |row: &Row| Ok((WebhookId(read(row, "id")?), read_delivery_change(row, keyring)));
    Ok((version, rows.iter().map(change).collect::<Result<_, StoreError>>()?))
}

fn read_event_type_change(row: &Row) -> Result<EventTypeChange, StoreError> {
    Ok(EventTypeChange {
        name: read(row, "name")?,
        removed: read(row, "removed")?,
        enforced_schema: read(row, "enforced_schema")?,
    })
}

pub(crate) fn read_brand_change(row: &Row) -> Result<BrandChange, StoreError> {
    let patterns: Vec<String> = read(row, "switch_patterns")?;
    let states: Vec<bool> = read(row, "switch_states")?;
    let enablement = Enablement::from_switches(patterns.into_iter().zip(states));
    Ok(BrandChange { id: read_word(row, "brand_id")?, enablement, quotas: read_quotas(row)? })
}

fn read_routing_change(row: &Row) -> Result<RoutingChange, StoreError> {
    let events: Vec<String> = read(row, "events")?;
    let parse =
        |text: &String| text.parse().map_err(|_| StoreError::Unreadable(format!("event type {text:?}")));
    Ok(RoutingChange {
        id: WebhookId(read(row, "id")?),
        brand_id: read_word(row, "brand_id")?,
        events: events.iter().map(parse).collect::<Result<_, _>>()?,
        status: read_word(row, "status")?,
        generation: read(row, "generation")?,
    })
}

fn read_delivery_change(row: &Row, keyring: &SecretKeyring) -> Result<DeliveryChange, StoreError> {
    let id = WebhookId(read(row, "id")?);
    let status: WebhookStatus = read_word(row, "status")?;
    let brand_id: BrandId = read_word(row, "brand_id")?;
    let keys = |secret: &[u8], key: Option<&[u8]>| {
        let signing_key = key.map(|key| keyring.open_key(&brand_id, id, key)).transpose()?;
        Ok::<_, StoreError>(Keys { secret: keyring.open(&brand_id, id, secret)?, signing_key })
    };
    // The secrets of a deleted webhook are gone, or about to be cleared.
    let is_deleted = status == WebhookStatus::Deleted;
    let current =
        if is_deleted { None } else { Some(keys(read(row, "secret")?, read(row, "signing_key")?)?) };
    let headers =
        if is_deleted { CustomHeaders::default() } else { read_headers(row, keyring, &brand_id, id)? };
    let previous: Option<&[u8]> = read(row, "previous_secret")?;
    let previous = previous.filter(|_| !is_deleted);
    let previous_key = read(row, "previous_signing_key")?;
    let expires: Option<Timestamp> = read(row, "previous_secret_expires")?;
    Ok(DeliveryChange {
        id,
        endpoint: read(row, "endpoint")?,
        headers,
        status,
        generation: read(row, "generation")?,
        closed_generation: read(row, "settled_generation")?,
        closing_status: read_word(row, "settle_as")?,
        max_concurrency: read(row, "max_concurrency")?,
        rate_per_second: read(row, "rate_per_second")?,
        keys: current,
        previous_keys: previous.map(|secret| keys(secret, previous_key)).transpose()?.zip(expires),
        brand_id,
    })
}
