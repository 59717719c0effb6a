//! Who changed what and when: an entry for every write of the API, in the same transaction.

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

/// What is recorded of one write. Nothing in it is secret: see to that before it gets here.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who: `support`, or `token:` with the token's id and name.
    pub actor: String,
    /// What was done, such as `webhook.create`.
    pub action: &'static str,
    /// The brand concerned, if it is one's.
    pub brand_id: Option<BrandId>,
    /// What it was done to: a webhook's id, a type, a brand.
    pub subject: String,
    /// How it was; `None` for what was created.
    pub before: Option<Value>,
    /// How it is now; `None` for what was deleted.
    pub after: Option<Value>,
}

/// An entry as it was recorded.
#[derive(Debug, Clone)]
pub struct RecordedEntry {
    /// Its identity.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The brand concerned.
    pub brand_id: Option<BrandId>,
    /// What it was done to.
    pub subject: String,
    /// How it was.
    pub before: Option<Value>,
    /// How it was afterwards.
    pub after: Option<Value>,
}

pub(crate) async fn insert_entry(db: &impl Executor, entry: &Entry) -> Result<(), StoreError> {
    let brand = entry.brand_id.as_ref().map(BrandId::as_str);
    let (before, after) = (entry.before.as_ref().map(Json), entry.after.as_ref().map(Json));
    let id = Uuid::new_v4();
    db.query_rows(
        sql!("audit/insert"),
        &[&id, &entry.actor, &entry.action, &brand, &entry.subject, &before, &after],
    )
    .await?;
    Ok(())
}

/// A page of the audit, the newest entries first: at most `limit` of those before `before`.
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
