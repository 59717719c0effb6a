//! The configuration that the API needs to check events before it publishes them, loaded as changes since a known
//! version like the router's.

use domain::event::event_type::TypePattern;
use domain::ids::BrandId;
use tokio_postgres::Row;

use crate::error::StoreError;
use crate::pool::Store;
use crate::routing::configuration::{BrandChange, NO_VERSION, load_routing_version, read_brand_change};
use crate::rows::{read, read_word};

/// An event type that changed.
#[derive(Debug)]
pub struct PublishedType {
    /// The name of the type.
    pub name: String,
    /// Whether it was removed.
    pub removed: bool,
    /// Whether only the platform publishes it.
    pub built_in: bool,
    /// Whether its schema is enforced.
    pub enforced: bool,
    /// The version of this change.
    pub version: i64,
}

/// All changes of the configuration that the API needs to check events.
#[derive(Debug)]
pub struct PublishingChanges {
    /// The version after these changes, at least.
    pub version: i64,
    /// Event types.
    pub event_types: Vec<PublishedType>,
    /// Brands.
    pub brands: Vec<BrandChange>,
    /// Brands with a webhook that changed. Empty when everything is loaded.
    pub changed_subscribers: Vec<BrandId>,
}

/// Equal subscriptions of a brand's webhooks.
#[derive(Debug)]
pub struct Subscription {
    /// The types and groups.
    pub events: Vec<TypePattern>,
    /// Number of webhooks with this subscription.
    pub webhooks: i64,
}

/// Loads the changes after version `known`. `None` when there are none.
///
/// # Errors
/// When the database fails, or holds a value that this program does not know.
pub async fn load_publishing_changes(
    store: &Store,
    known: i64,
) -> Result<Option<PublishingChanges>, StoreError> {
    // The version is read first, so that a change during these statements is loaded again and not missed.
    let version = load_routing_version(store).await?;
    if version == known {
        return Ok(None);
    }
    let types = store.query(sql!("configuration/publishing_types"), &[&known]).await?;
    let brands = store.query(sql!("configuration/brands"), &[&known]).await?;
    let subscribers = match known {
        NO_VERSION => Vec::new(),
        _ => store.query(sql!("configuration/changed_subscribers"), &[&known]).await?,
    };
    Ok(Some(PublishingChanges {
        version,
        event_types: types.iter().map(read_type).collect::<Result<_, _>>()?,
        brands: brands.iter().map(read_brand_change).collect::<Result<_, _>>()?,
        changed_subscribers: subscribers
            .iter()
            .map(|row| read_word(row, "brand_id"))
            .collect::<Result<_, _>>()?,
    }))
}

/// Loads the enforced schema of a type with the version of its last change. `None` when none is enforced.
///
/// # Errors
/// When the database fails.
pub async fn load_enforced_schema(store: &Store, name: &str) -> Result<Option<(i64, String)>, StoreError> {
    let row = store.query_opt(sql!("configuration/enforced_schema"), &[&name]).await?;
    row.map(|row| Ok((read(&row, "routing_version")?, read(&row, "schema")?))).transpose()
}

/// Loads the subscriptions of the webhooks that the router matches for a brand.
///
/// # Errors
/// When the database fails, or holds a value that this program does not know.
pub async fn load_subscriptions(store: &Store, brand: &BrandId) -> Result<Vec<Subscription>, StoreError> {
    let rows = store.query(sql!("webhooks/subscriptions_of_brand"), &[&brand.as_str()]).await?;
    rows.iter().map(read_subscription).collect()
}

fn read_type(row: &Row) -> Result<PublishedType, StoreError> {
    Ok(PublishedType {
        name: read(row, "name")?,
        removed: read(row, "removed")?,
        built_in: read(row, "built_in")?,
        enforced: read(row, "enforce_schema")?,
        version: read(row, "routing_version")?,
    })
}

fn read_subscription(row: &Row) -> Result<Subscription, StoreError> {
    let events: Vec<String> = read(row, "events")?;
    let parse =
        |text: &String| text.parse().map_err(|_| StoreError::Unreadable(format!("event type {text:?}")));
    Ok(Subscription {
        events: events.iter().map(parse).collect::<Result<_, _>>()?,
        webhooks: read(row, "webhooks")?,
    })
}
