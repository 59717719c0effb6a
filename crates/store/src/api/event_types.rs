//! The catalogue of event types.

use domain::event_type::EventType;
use domain::time::Timestamp;
use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use crate::api::transaction::AuditedTransaction;
use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// An entry of the catalogue. JSON is kept as it came in.
#[derive(Debug, Clone)]
pub struct CatalogueType {
    /// The type.
    pub name: EventType,
    /// What it means, for people.
    pub description: String,
    /// The JSON Schema of the events' `data`.
    pub schema: Option<Box<RawValue>>,
    /// Whether events that do not fit the schema are refused.
    pub enforce_schema: bool,
    /// A sample of `data`.
    pub example: Option<Box<RawValue>>,
    /// Whether it is the platform's own.
    pub built_in: bool,
    /// When it came into the catalogue.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// What support writes of an entry.
#[derive(Debug)]
pub struct Definition {
    /// What the type means.
    pub description: String,
    /// The JSON Schema of `data`.
    pub schema: Option<Box<RawValue>>,
    /// Whether the schema is enforced.
    pub enforce_schema: bool,
    /// A sample of `data`.
    pub example: Option<Box<RawValue>>,
}

/// The names of all types in the catalogue.
///
/// # Errors
/// When the database fails.
pub async fn list_names(db: &impl Executor) -> Result<Vec<String>, StoreError> {
    db.query_rows(sql!("event_types/names"), &[]).await?.iter().map(|row| read(row, "name")).collect()
}

/// A page of the catalogue by name: at most `limit` of those after `after`.
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

/// An entry.
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

/// An entry, locked until the change ends.
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

/// Writes an entry that is new, was removed before, or is replaced. `None` when it is built in.
///
/// # Errors
/// When the database fails.
pub async fn put_event_type(
    change: &AuditedTransaction<'_>,
    name: &EventType,
    to: &Definition,
) -> Result<Option<CatalogueType>, StoreError> {
    let (schema, example) = (to.schema.as_ref().map(Json), to.example.as_ref().map(Json));
    let row = change
        .query_row(
            sql!("event_types/put"),
            &[&name.as_str(), &to.description, &schema, &to.enforce_schema, &example],
        )
        .await?;
    row.as_ref().map(read_catalogue_type).transpose()
}

/// Takes an entry out of the catalogue; false when it is not there or built in.
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
