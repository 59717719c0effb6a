//! Brands: their names, their contacts, and the event types that support enabled for them.

use std::collections::HashSet;

use domain::event::catalogue::Enablement;
use domain::ids::BrandId;
use domain::quota::BrandQuota;
use domain::time::Timestamp;
use tokio_postgres::Row;

use crate::api::transaction::AuditedTransaction;
use crate::db::Executor;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{quota_values, read, read_quotas, read_word};

/// A brand.
#[derive(Debug, Clone)]
pub struct Brand {
    /// Its identity.
    pub id: BrandId,
    /// Its display name.
    pub name: String,
    /// The contact for support.
    pub contact: Option<Contact>,
    /// The event types that it may receive.
    pub enablement: Enablement,
    /// How much it may publish, and how much of it may wait.
    pub quotas: BrandQuota,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// The contact of a brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The name of a person or a team.
    pub name: String,
    /// The email address.
    pub email: String,
}

/// Returns the ids among these that are brands.
///
/// # Errors
/// When the database fails.
pub async fn list_known(
    store: &Store,
    ids: impl IntoIterator<Item = &BrandId>,
) -> Result<HashSet<BrandId>, StoreError> {
    let ids: Vec<&str> = ids.into_iter().map(BrandId::as_str).collect();
    let rows = store.query(sql!("brands/list_known"), &[&ids]).await?;
    rows.iter().map(|row| read_word(row, "brand_id")).collect()
}

/// Creates a brand with no event type enabled. `None` when the id is taken.
///
/// # Errors
/// When the database fails.
pub async fn insert_brand(
    change: &AuditedTransaction<'_>,
    id: &BrandId,
    name: &str,
    contact: Option<&Contact>,
    quotas: &BrandQuota,
) -> Result<Option<Brand>, StoreError> {
    let (contact_name, email) = contact_columns(contact);
    let [events, bytes, deliveries, waiting] = quota_values(quotas);
    let row = change
        .query_row(
            sql!("brands/insert"),
            &[&id.as_str(), &name, &contact_name, &email, &events, &bytes, &deliveries, &waiting],
        )
        .await?;
    row.as_ref().map(read_brand).transpose()
}

/// Finds a brand.
///
/// # Errors
/// When the database fails.
pub async fn find_brand(db: &impl Executor, id: &BrandId) -> Result<Option<Brand>, StoreError> {
    db.query_row(sql!("brands/find"), &[&id.as_str()]).await?.as_ref().map(read_brand).transpose()
}

/// Finds brands by their ids, in no order.
///
/// # Errors
/// When the database fails.
pub async fn find_brands(db: &impl Executor, ids: &[&str]) -> Result<Vec<Brand>, StoreError> {
    db.query_rows(sql!("brands/find_many"), &[&ids]).await?.iter().map(read_brand).collect()
}

/// Finds a brand and locks it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_brand(change: &AuditedTransaction<'_>, id: &BrandId) -> Result<Option<Brand>, StoreError> {
    change.query_row(sql!("brands/lock"), &[&id.as_str()]).await?.as_ref().map(read_brand).transpose()
}

/// Lists at most `limit` brands after `after`, by id.
///
/// # Errors
/// When the database fails.
pub async fn list_brands(
    db: &impl Executor,
    after: Option<&BrandId>,
    limit: i64,
) -> Result<Vec<Brand>, StoreError> {
    let after = after.map_or("", BrandId::as_str);
    db.query_rows(sql!("brands/page"), &[&after, &limit]).await?.iter().map(read_brand).collect()
}

/// Updates a brand's name, contact, switches and quotas, and returns the updated brand. `None` when it does not exist.
///
/// # Errors
/// When the database fails.
pub async fn update_brand(
    change: &AuditedTransaction<'_>,
    changed: &Brand,
) -> Result<Option<Brand>, StoreError> {
    let (contact_name, email) = contact_columns(changed.contact.as_ref());
    let (patterns, states): (Vec<&str>, Vec<bool>) = changed.enablement.switches().unzip();
    let [events, bytes, deliveries, waiting] = quota_values(&changed.quotas);
    let id = changed.id.as_str();
    let name = &changed.name;
    let row = change
        .query_row(
            sql!("brands/update"),
            &[&id, name, &contact_name, &email, &patterns, &states, &events, &bytes, &deliveries, &waiting],
        )
        .await?;
    row.as_ref().map(read_brand).transpose()
}

fn contact_columns(contact: Option<&Contact>) -> (Option<&str>, Option<&str>) {
    contact.map(|contact| (contact.name.as_str(), contact.email.as_str())).unzip()
}

fn read_brand(row: &Row) -> Result<Brand, StoreError> {
    let patterns: Vec<String> = read(row, "switch_patterns")?;
    let states: Vec<bool> = read(row, "switch_states")?;
    let contact_name: Option<String> = read(row, "contact_name")?;
    let contact_email: Option<String> = read(row, "contact_email")?;
    Ok(Brand {
        id: read_word(row, "brand_id")?,
        name: read(row, "name")?,
        contact: contact_name.zip(contact_email).map(|(name, email)| Contact { name, email }),
        enablement: Enablement::from_switches(patterns.into_iter().zip(states)),
        quotas: read_quotas(row)?,
        created: read(row, "created")?,
        updated: read(row, "updated")?,
    })
}
