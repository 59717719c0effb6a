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
pub async fn insert(
    change: &AuditedTransaction<'_>,
    id: &BrandId,
    name: &str,
    contact: Option<&Contact>,
) -> Result<Option<Brand>, StoreError> {
    let (contact_name, email) = parts(contact);
    let row = change.row(sql!("brands/insert"), &[&id.as_str(), &name, &contact_name, &email]).await?;
    row.as_ref().map(brand).transpose()
}

/// The brand of this id.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &impl Executor, id: &BrandId) -> Result<Option<Brand>, StoreError> {
    db.row(sql!("brands/find"), &[&id.as_str()]).await?.as_ref().map(brand).transpose()
}

/// The brand of this id, locked until the change ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(change: &AuditedTransaction<'_>, id: &BrandId) -> Result<Option<Brand>, StoreError> {
    change.row(sql!("brands/lock"), &[&id.as_str()]).await?.as_ref().map(brand).transpose()
}

/// A page of all brands by id: at most `limit` of those after `after`.
///
/// # Errors
/// When the database fails.
pub async fn page(db: &impl Executor, after: Option<&BrandId>, limit: i64) -> Result<Vec<Brand>, StoreError> {
    let after = after.map_or("", BrandId::as_str);
    db.rows(sql!("brands/page"), &[&after, &limit]).await?.iter().map(brand).collect()
}

/// Writes a brand's name, contact and switches, and the brand as it is then. `None` when it is not
/// there.
///
/// # Errors
/// When the database fails.
pub async fn update(change: &AuditedTransaction<'_>, changed: &Brand) -> Result<Option<Brand>, StoreError> {
    let (contact_name, email) = parts(changed.contact.as_ref());
    let (patterns, states): (Vec<&str>, Vec<bool>) = changed.enablement.switches().unzip();
    let row = change
        .row(
            sql!("brands/update"),
            &[&changed.id.as_str(), &changed.name, &contact_name, &email, &patterns, &states],
        )
        .await?;
    row.as_ref().map(brand).transpose()
}

fn parts(contact: Option<&Contact>) -> (Option<&str>, Option<&str>) {
    contact.map(|contact| (contact.name.as_str(), contact.email.as_str())).unzip()
}

fn brand(row: &Row) -> Result<Brand, StoreError> {
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
