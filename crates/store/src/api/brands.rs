//! Brands: who they are, whom to call, and what support enabled for them.

use domain::catalogue::Enablement;
use domain::ids::BrandId;
use domain::time::Timestamp;
use tokio_postgres::Row;

use crate::api::transaction::AuditedTransaction;
use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// A brand.
#[derive(Debug, Clone)]
pub struct Brand {
    /// Its identity.
    pub id: BrandId,
    /// What people call it.
    pub name: String,
    /// Whom support reaches out to.
    pub contact: Option<Contact>,
    /// What it may receive.
    pub enablement: Enablement,
    /// When it was made.
    pub created: Timestamp,
    /// When anything of it last changed.
    pub updated: Timestamp,
}

/// A brand's point of contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The name of a person or a team.
    pub name: String,
    /// The mail address.
    pub email: String,
}

/// Makes a brand for which nothing is enabled; `None` when there is one of this id.
///
/// # Errors
/// When the database fails.
pub async fn insert_brand(
    change: &AuditedTransaction<'_>,
    id: &BrandId,
    name: &str,
    contact: Option<&Contact>,
) -> Result<Option<Brand>, StoreError> {
    let (contact_name, email) = contact_columns(contact);
    let row = change.query_row(sql!("brands/insert"), &[&id.as_str(), &name, &contact_name, &email]).await?;
    row.as_ref().map(read_brand).transpose()
}

/// The brand of this id.
///
/// # Errors
/// When the database fails.
pub async fn find_brand(db: &impl Executor, id: &BrandId) -> Result<Option<Brand>, StoreError> {
    db.query_row(sql!("brands/find"), &[&id.as_str()]).await?.as_ref().map(read_brand).transpose()
}

/// The brand of this id, locked until the change ends.
///
/// # Errors
/// When the database fails.
pub async fn lock_brand(change: &AuditedTransaction<'_>, id: &BrandId) -> Result<Option<Brand>, StoreError> {
    change.query_row(sql!("brands/lock"), &[&id.as_str()]).await?.as_ref().map(read_brand).transpose()
}

/// A page of all brands by id: at most `limit` of those after `after`.
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

/// Writes a brand's name, contact and switches, and the brand as it is then. `None` when it is not
/// there.
///
/// # Errors
/// When the database fails.
pub async fn update_brand(
    change: &AuditedTransaction<'_>,
    changed: &Brand,
) -> Result<Option<Brand>, StoreError> {
    let (contact_name, email) = contact_columns(changed.contact.as_ref());
    let (patterns, states): (Vec<&str>, Vec<bool>) = changed.enablement.switches().unzip();
    let row = change
        .query_row(
            sql!("brands/update"),
            &[&changed.id.as_str(), &changed.name, &contact_name, &email, &patterns, &states],
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
    let contact: (Option<String>, Option<String>) = (read(row, "contact_name")?, read(row, "contact_email")?);
    Ok(Brand {
        id: read_word(row, "brand_id")?,
        name: read(row, "name")?,
        contact: contact.0.zip(contact.1).map(|(name, email)| Contact { name, email }),
        enablement: Enablement::from_switches(patterns.into_iter().zip(states)),
        created: read(row, "created")?,
        updated: read(row, "updated")?,
    })
}
