//! The audit: one entry for every write of the API, in the same transaction.
//!
//! An act that is not one transaction, such as republishing messages, has an entry when it begins. The entry gets its
//! outcome at the end. If the process dies in between, the outcome stays unknown.

use chrono::DateTime;
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

/// The actor of what the platform does by itself.
pub const PLATFORM: &str = "platform";
/// The actor of support, if the token has no name. With a name it is this, `:`, the token's id and its name.
pub const SUPPORT: &str = "support";
/// Bounds the entries that are looked at for one page, because a second filter skips entries. A page may therefore be short.
pub const MAX_SCANNED_ENTRIES: i64 = 10_000;

/// An entry of the audit to write. The caller removes all secrets from it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The actor: `support`, `platform`, or `support:` or `token:` with the token's id and name.
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

/// The outcome of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActOutcome {
    /// It was done.
    Done,
    /// It failed, perhaps after a part of it was done.
    Failed,
    /// It goes on, or the process that began it died.
    Unknown,
}

impl ActOutcome {
    /// Returns the word that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
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
    /// The outcome of the act.
    pub outcome: ActOutcome,
}

/// The entries to list: all of them, unless a field is set.
#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    /// Entries that concern this brand.
    pub brand: Option<BrandId>,
    /// Entries of this actor: `support` for everyone of support, `platform`, or `support:` or `token:` with the token's id.
    pub actor: Option<String>,
    /// Entries of this action.
    pub action: Option<String>,
    /// Entries about this subject.
    pub subject: Option<String>,
    /// Entries of this time or later.
    pub from: Option<Timestamp>,
}

/// A page of entries, the newest first.
#[derive(Debug)]
pub struct EntryPage {
    /// The entries.
    pub entries: Vec<RecordedEntry>,
    /// The position after which the list goes on, if the page looked at as many entries as it may.
    pub scanned_to: Option<KeysetPosition>,
}

pub(crate) async fn insert_entry(db: &impl Executor, entry: &Entry) -> Result<(), StoreError> {
    // Entries of the same millisecond are listed by id. Version 7 keeps the order in which a process wrote them.
    insert(db, Uuid::now_v7(), entry, None).await
}

pub(crate) async fn insert_started(db: &impl Executor, id: Uuid, entry: &Entry) -> Result<(), StoreError> {
    insert(db, id, entry, Some("started")).await
}

async fn insert(
    db: &impl Executor,
    id: Uuid,
    entry: &Entry,
    outcome: Option<&str>,
) -> Result<(), StoreError> {
    let brand = entry.brand_id.as_ref().map(BrandId::as_str);
    let before = entry.before.as_ref().map(Json);
    let after = entry.after.as_ref().map(Json);
    db.query_rows(
        sql!("audit/insert"),
        &[&id, &entry.actor, &entry.action, &brand, &entry.subject, &before, &after, &outcome],
    )
    .await?;
    Ok(())
}

/// Writes the outcome of an act whose entry said that it began. A second call changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn set_outcome(
    db: &impl Executor,
    entry: Uuid,
    outcome: ActOutcome,
    after: &Value,
) -> Result<(), StoreError> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&entry, &outcome.as_str(), &Json(after)];
    db.query_rows(sql!("audit/set_outcome"), &params).await.map(drop)
}

/// Lists at most `limit` entries before `before`, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_entries(
    db: &impl Executor,
    filter: &EntryFilter,
    before: KeysetPosition,
    limit: i64,
) -> Result<EntryPage, StoreError> {
    let brand = filter.brand.as_ref().map(BrandId::as_str);
    let from = filter.from.unwrap_or(DateTime::UNIX_EPOCH);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
        &before.at,
        &before.id,
        &from,
        &brand,
        &filter.actor,
        &filter.action,
        &filter.subject,
        &limit,
        &MAX_SCANNED_ENTRIES,
    ];
    let rows = db.query_rows(filter.statement(), &params).await?;
    let end: Option<Timestamp> = rows.first().map(|row| read(row, "end_at")).transpose()?.flatten();
    let scanned_to = match (end, rows.first()) {
        (Some(at), Some(row)) => Some(KeysetPosition { at, id: read(row, "end_id")? }),
        _ => None,
    };
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        // The only row of a page without entries has none.
        if read::<Option<Uuid>>(row, "id")?.is_some() {
            entries.push(read_entry(row)?);
        }
    }
    Ok(EntryPage { entries, scanned_to })
}

impl EntryFilter {
    /// Returns the statement whose index one filter reads. With a brand it is the brand's, because a list of a brand must
    /// not look at the entries of others, which may have the same subject; otherwise it is the most specific filter's.
    fn statement(&self) -> &'static str {
        if self.brand.is_some() {
            sql!("audit/page_of_brand")
        } else if self.subject.is_some() {
            sql!("audit/page_of_subject")
        } else if self.actor.as_deref() == Some(SUPPORT) {
            sql!("audit/page_of_support")
        } else if self.actor.is_some() {
            sql!("audit/page_of_actor")
        } else if self.action.is_some() {
            sql!("audit/page_of_action")
        } else {
            sql!("audit/page")
        }
    }
}

fn read_entry(row: &Row) -> Result<RecordedEntry, StoreError> {
    let brand_id: Option<&str> = read(row, "brand_id")?;
    let outcome: Option<&str> = read(row, "outcome")?;
    Ok(RecordedEntry {
        id: read(row, "id")?,
        at: read(row, "at")?,
        actor: read(row, "actor")?,
        action: read(row, "action")?,
        brand_id: brand_id.map(|_| read_word(row, "brand_id")).transpose()?,
        subject: read(row, "subject")?,
        before: read::<Option<Json<Value>>>(row, "before")?.map(|json| json.0),
        after: read::<Option<Json<Value>>>(row, "after")?.map(|json| json.0),
        outcome: match outcome {
            None | Some("done") => ActOutcome::Done,
            Some("failed") => ActOutcome::Failed,
            Some(_) => ActOutcome::Unknown,
        },
    })
}
