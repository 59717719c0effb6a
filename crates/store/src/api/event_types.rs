//! The catalogue of event types.

use domain::event::event_type::EventType;
use domain::time::Timestamp;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::api::transaction::AuditedTransaction;
use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// An event type of the catalogue. Its JSON is stored unchanged.
#[derive(Debug, Clone)]
pub struct CatalogueType {
    /// The name of the type.
    pub name: EventType,
    /// Its meaning, for readers.
    pub description: String,
    /// The JSON Schema of `data`.
    pub schema: Option<Box<RawValue>>,
    /// Whether events that do not match the schema are rejected.
    pub enforce_schema: bool,
    /// A sample of `data`.
    pub example: Option<Box<RawValue>>,
    /// Whether the platform defines it.
    pub built_in: bool,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// The part of an event type that support defines.
#[derive(Debug)]
pub struct Definition {
    /// Its meaning, for readers.
    pub description: String,
    /// The JSON Schema of `data`.
    pub schema: Option<Box<RawValue>>,
    /// Whether the schema is enforced.
    pub enforce_schema: bool,
    /// A sample of `data`.
    pub example: Option<Box<RawValue>>,
}

/// Lists the names of all event types.
///
/// # Errors
/// When the database fails.
pub async fn list_names(db: &impl Executor) -> Result<Vec<String>, StoreError> {
    db.query_rows(sql!("event_types/names"), &[]).await?.iter().map(|row| read(row, "name")).collect()
}

/// Lists at most `limit` event types after `after`, by name.
///
/// # Errors
/// When the database fails.
pub async fn list_event_types(
    db: &impl Executor,
    after: Option<&EventType>,
    limit: i64,
) -> Result<Vec<CatalogueType>, StoreError> {
    let after = after.map_or("", EventType::as_str);
    db.query_rows(sql!("event_types/page"), &[&after, &limit])
        .await?
        .iter()
        .map(read_catalogue_type)
        .collect()
}

/// Finds an event type.
///
/// # Errors
/// When the database fails.
pub async fn find_event_type(
    db: &impl Executor,
    name: &EventType,
) -> Result<Option<CatalogueType>, StoreError> {
    let row = db.query_row(sql!("event_types/find"), &[&name.as_str()]).await?;
    row.as_ref().map(read_catalogue_type).transpose()
}

/// Finds an event type and locks it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_event_type(
    change: &AuditedTransaction<'_>,
    name: &EventType,
) -> Result<Option<CatalogueType>, StoreError> {
    let row = change.query_row(sql!("event_types/lock"), &[&name.as_str()]).await?;
    row.as_ref().map(read_catalogue_type).transpose()
}

/// Creates or replaces an event type, or restores a removed one. `None` when it is built in.
///
/// # Errors
/// When the database fails.
pub async fn put_event_type(
    change: &AuditedTransaction<'_>,
    name: &EventType,
    to: &Definition,
) -> Result<Option<CatalogueType>, StoreError> {
    let schema = to.schema.as_ref().map(Json);
    let example = to.example.as_ref().map(Json);
    let row = change
        .query_row(
            sql!("event_types/put"),
            &[&name.as_str(), &to.description, &schema, &to.enforce_schema, &example],
        )
        .await?;
    row.as_ref().map(read_catalogue_type).transpose()
}

/// Removes an event type. False when it does not exist or is built in.
///
/// # Errors
/// When the database fails.
pub async fn remove_event_type(
    change: &AuditedTransaction<'_>,
    name: &EventType,
) -> Result<bool, StoreError> {
    Ok(change.query_row(sql!("event_types/remove"), &[&name.as_str()]).await?.is_some())
}

fn read_catalogue_type(row: &Row) -> Result<CatalogueType, StoreError> {
    Ok(CatalogueType {
        name: read_word(row, "name")?,
        description: read(row, "description")?,
        schema: read::<Option<Json<_>>>(row, "schema")?.map(|json| json.0),
        enforce_schema: read(row, "enforce_schema")?,
        example: read::<Option<Json<_>>>(row, "example")?.map(|json| json.0),
        built_in: read(row, "built_in")?,
        created: read(row, "created")?,
        updated: read(row, "updated")?,
    })
}
