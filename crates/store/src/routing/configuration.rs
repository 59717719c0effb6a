//! What routing and delivering depend on, loaded by what is newer than a known version.

use std::collections::BTreeMap;

use domain::catalogue::Enablement;
use domain::delivery::DeliveryStatus;
use domain::event_type::TypePattern;
use domain::ids::{BrandId, WebhookId};
use domain::signature::Keys;
use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use tokio_postgres::Row;

use crate::db::Executor;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};
use crate::secrets::keyring::SecretKeyring;

/// Nothing known yet: everything is newer.
pub const NO_VERSION: i64 = 0;

/// A catalogue entry that changed.
#[derive(Debug)]
pub struct EventTypeChange {
    /// The type.
    pub name: String,
    /// Whether it is gone.
    pub removed: bool,
    /// The JSON Schema that its events must fit, where there is one that is enforced.
    pub enforced_schema: Option<String>,
}

/// A brand that changed.
#[derive(Debug)]
pub struct BrandChange {
    /// The brand.
    pub id: BrandId,
    /// What it may receive.
    pub enablement: Enablement,
}

/// A webhook that changed, as the router needs it.
#[derive(Debug)]
pub struct RoutingChange {
    /// The webhook.
    pub id: WebhookId,
    /// Whose it is.
    pub brand_id: BrandId,
    /// What it wants.
    pub events: Vec<TypePattern>,
    /// Whether it receives.
    pub status: WebhookStatus,
    /// The generation that its new deliveries belong to.
    pub generation: i32,
}

/// All that the router needs to know of what changed.
#[derive(Debug)]
pub struct RoutingChanges {
    /// The version that these changes lead to, at least.
    pub version: i64,
    /// Catalogue entries.
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
    /// Whose it is.
    pub brand_id: BrandId,
    /// Where requests go.
    pub endpoint: String,
    /// Custom headers.
    pub headers: BTreeMap<String, String>,
    /// Whether it receives.
    pub status: WebhookStatus,
    /// Deliveries of an older generation are settled, not attempted.
    pub generation: i32,
    /// Generations below this one are settled in the database.
    pub settled_generation: i32,
    /// What deliveries of ended generations become.
    pub settle_as: DeliveryStatus,
    /// Requests in flight at most.
    pub max_concurrency: i32,
    /// Requests a second at most.
    pub rate_per_second: Option<i32>,
    /// Sign every request.
    pub keys: Keys,
    /// Sign too, until the instant.
    pub previous_keys: Option<(Keys, Timestamp)>,
}

/// The version of all that is configured, as delivering reads it: every change makes it another.
///
/// # Errors
/// When the database fails.
pub async fn load_version(store: &Store) -> Result<i64, StoreError> {
    let row = store.query_opt(sql!("configuration/version"), &[]).await?;
    row.as_ref().map_or(Ok(NO_VERSION), |row| read(row, "version"))
}

/// The version of what routing reads: types and their enforced schemas, what brands may receive, what webhooks want
/// and whether they receive.
///
/// # Errors
/// When the database fails.
pub async fn load_routing_version(db: &impl Executor) -> Result<i64, StoreError> {
    let row = db.query_row(sql!("configuration/routing_version"), &[]).await?;
    row.as_ref().map_or(Ok(NO_VERSION), |row| read(row, "version"))
}

/// What changed after `known`, for the router.
///
/// # Errors
/// When the database fails or holds what this program does not know.
pub async fn load_routing_changes(db: &impl Executor, known: i64) -> Result<RoutingChanges, StoreError> {
    // The version first: what changes meanwhile may be among the rows, and is asked for again.
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

/// The webhooks that changed after `known`, for the deliverer, and the version they lead to. One
/// whose secret cannot be read is reported as such, so that it does not stop the others.
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

fn read_brand_change(row: &Row) -> Result<BrandChange, StoreError> {
    let patterns: Vec<String> = read(row, "switch_patterns")?;
    let states: Vec<bool> = read(row, "switch_states")?;
    let enablement = Enablement::from_switches(patterns.into_iter().zip(states));
    Ok(BrandChange { id: read_word(row, "brand_id")?, enablement })
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
    let (id, brand_id): (_, BrandId) = (WebhookId(read(row, "id")?), read_word(row, "brand_id")?);
    let headers: tokio_postgres::types::Json<BTreeMap<String, String>> = read(row, "headers")?;
    let keys = |secret: &[u8], key: Option<&[u8]>| {
        let signing_key = key.map(|key| keyring.open_key(&brand_id, id, key)).transpose()?;
        Ok::<_, StoreError>(Keys { secret: keyring.open(&brand_id, id, secret)?, signing_key })
    };
    let previous: Option<&[u8]> = read(row, "previous_secret")?;
    let previous_key = read(row, "previous_signing_key")?;
    let expires: Option<Timestamp> = read(row, "previous_secret_expires")?;
    Ok(DeliveryChange {
        id,
        endpoint: read(row, "endpoint")?,
        headers: headers.0,
        status: read_word(row, "status")?,
        generation: read(row, "generation")?,
        settled_generation: read(row, "settled_generation")?,
        settle_as: read_word(row, "settle_as")?,
        max_concurrency: read(row, "max_concurrency")?,
        rate_per_second: read(row, "rate_per_second")?,
        keys: keys(read(row, "secret")?, read(row, "signing_key")?)?,
        previous_keys: previous.map(|secret| keys(secret, previous_key)).transpose()?.zip(expires),
        brand_id,
    })
}
