//! The audit: one entry for every write of the API, in the same transaction.

use domain::ids::BrandId;
use domain::time::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::db::Executor;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::rows::{read, read_word};

/// An entry of the audit to write. The caller removes all secrets from it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The actor: `support`, or `token:` with the token's id and name.
    pub actor: String,
    /// The action, such as `webhook.create`.
    pub action: &'static str,
    /// The brand concerned, if any.
    pub brand_id: Option<BrandId>,
    /// The object that was changed: a webhook's id, an event type, a brand.
    pub subject: String,
    /// The object before the change; `None` after a creation.
    pub before: Option<Value>,
    /// The object after the change; `None` after a deletion.
    pub after: Option<Value>,
}

/// An entry of the audit that was recorded.
#[derive(Debug, Clone)]
pub struct RecordedEntry {
    /// Its identity.
    pub id: Uuid,
    /// When it was recorded.
    pub at: Timestamp,
    /// The actor.
    pub actor: String,
    /// The action.
    pub action: String,
    /// The brand concerned.
    pub brand_id: Option<BrandId>,
    /// The object that was changed.
    pub subject: String,
    /// The object before the change.
    pub before: Option<Value>,
    /// The object after the change.
    pub after: Option<Value>,
}

pub(crate) async fn insert_entry(db: &impl Executor, entry: &Entry) -> Result<(), StoreError> {
    let brand = entry.brand_id.as_ref().map(BrandId::as_str);
    let before = entry.before.as_ref().map(Json);
    let after = entry.after.as_ref().map(Json);
    // Entries of the same millisecond are listed by id. Version 7 keeps the order in which a process wrote them.
    let id = Uuid::now_v7();
    db.query_rows(
        sql!("audit/insert"),
        &[&id, &entry.actor, &entry.action, &brand, &entry.subject, &before, &after],
    )
    .await?;
    Ok(())
}

/// Lists at most `limit` entries before `before`, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_entries(
    db: &impl Executor,
    before: KeysetPosition,
    limit: i64,
) -> Result<Vec<RecordedEntry>, StoreError> {
    db.query_rows(sql!("audit/page"), &[&before.at, &before.id, &limit])
        .await?
        .iter()
        .map(read_entry)
        .collect()
}

fn read_entry(row: &Row) -> Result<RecordedEntry, StoreError> {
    let brand_id: Option<&str> = read(row, "brand_id")?;
    Ok(RecordedEntry {
        id: read(row, "id")?,
        at: read(row, "at")?,
        actor: read(row, "actor")?,
        action: read(row, "action")?,
        brand_id: brand_id.map(|_| read_word(row, "brand_id")).transpose()?,
        subject: read(row, "subject")?,
        before: read::<Option<Json<Value>>>(row, "before")?.map(|json| json.0),
        after: read::<Option<Json<Value>>>(row, "after")?.map(|json| json.0),
    })
}
