//! Jobs that republish or delete rejected messages.
//!
//! One job runs at a time, because two walks over the queue would hide messages from each other. The process that works on
//! it holds a lease. If the process dies, the next one goes on after the lease.

use std::time::Duration;

use domain::ids::BrandId;
use domain::time::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::api::audit::ActOutcome;
use crate::db::Executor;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// What a job does with the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAction {
    /// It publishes them as events again.
    Republish,
    /// It deletes them.
    Delete,
}

impl JobAction {
    /// Returns the word of the table and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Republish => "republish",
            Self::Delete => "delete",
        }
    }
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It is at work, or waits for a process.
    Running,
    /// It handled every message that it was about.
    Finished,
    /// It was cancelled, or made no progress.
    Stopped,
}

impl JobState {
    /// Returns the word of the table and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }
}

/// A job to create.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What it does.
    pub action: JobAction,
    /// Messages of this brand alone.
    pub brand: Option<BrandId>,
    /// Messages with this reason alone.
    pub reason: Option<String>,
    /// Messages of this type alone.
    pub event_type: Option<String>,
    /// Most messages that it handles.
    pub max_messages: Option<i64>,
    /// The name of the caller in the audit.
    pub actor: String,
}

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its identity.
    pub id: Uuid,
    /// What it is about.
    pub work: NewJob,
    /// Its state.
    pub state: JobState,
    /// Messages that were republished or deleted.
    pub done: i64,
    /// Messages that matched when it began; `None` until they are counted.
    pub total: Option<i64>,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// The entry of the audit that gets its outcome.
    pub audit_id: Uuid,
}

/// Creates a job with this entry of the audit. Returns `None` if another job is running.
///
/// # Errors
/// When the database fails.
pub async fn insert_job(db: &impl Executor, job: &NewJob, audit_id: Uuid) -> Result<Option<Job>, StoreError> {
    let brand = job.brand.as_ref().map(BrandId::as_str);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
        &Uuid::now_v7(),
        &job.action.as_str(),
        &brand,
        &job.reason,
        &job.event_type,
        &job.max_messages,
        &job.actor,
        &audit_id,
    ];
    one(db, sql!("rejected_jobs/insert"), &params).await
}

/// Finds a job.
///
/// # Errors
/// When the database fails.
pub async fn find_job(db: &impl Executor, id: Uuid) -> Result<Option<Job>, StoreError> {
    one(db, sql!("rejected_jobs/find"), &[&id]).await
}

/// Returns the id of the running job.
///
/// # Errors
/// When the database fails.
pub async fn find_running(db: &impl Executor) -> Result<Option<Uuid>, StoreError> {
    let rows = db.query_rows(sql!("rejected_jobs/find_running"), &[]).await?;
    rows.first().map(|row| read(row, "id")).transpose()
}

/// Lists at most `limit` jobs before `before`, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_jobs(
    db: &impl Executor,
    before: KeysetPosition,
    limit: i64,
) -> Result<Vec<Job>, StoreError> {
    let rows = db.query_rows(sql!("rejected_jobs/page"), &[&before.at, &before.id, &limit]).await?;
    rows.iter().map(read_job).collect()
}

/// Cancels a job. Returns `None` if it is not running.
///
/// # Errors
/// When the database fails.
pub async fn cancel_job(db: &impl Executor, id: Uuid) -> Result<Option<Job>, StoreError> {
    one(db, sql!("rejected_jobs/cancel"), &[&id]).await
}

/// Takes the lease on the running job, unless another process has it.
///
/// # Errors
/// When the database fails.
pub async fn claim_job(store: &Store, holder: Uuid, lease: Duration) -> Result<Option<Job>, StoreError> {
    one(store, sql!("rejected_jobs/claim"), &[&holder, &lease.as_secs_f64()]).await
}

/// The progress of a step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Messages that were republished or deleted.
    pub done: i64,
    /// Messages that match, if the step counted them.
    pub total: Option<i64>,
}

/// Adds the progress of a step, and extends the lease. Returns `None` if another process took the job over.
///
/// # Errors
/// When the database fails.
pub async fn advance_job(
    store: &Store,
    (id, holder): (Uuid, Uuid),
    progress: Progress,
    lease: Duration,
) -> Result<Option<Job>, StoreError> {
    let Progress { done, total } = progress;
    one(store, sql!("rejected_jobs/advance"), &[&id, &holder, &done, &total, &lease.as_secs_f64()]).await
}

/// Ends a job, and writes the outcome into its entry of the audit, in one statement. A cancelled job keeps its state.
///
/// # Errors
/// When the database fails.
pub async fn end_job(
    store: &Store,
    (id, holder): (Uuid, Uuid),
    state: JobState,
    outcome: ActOutcome,
    after: &Value,
) -> Result<(), StoreError> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&id, &holder, &state.as_str(), &outcome.as_str(), &Json(after)];
    store.execute(sql!("rejected_jobs/end"), &params).await.map(drop)
}

async fn one(
    db: &impl Executor,
    sql: &str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Option<Job>, StoreError> {
    db.query_rows(sql, params).await?.first().map(read_job).transpose()
}

fn read_job(row: &Row) -> Result<Job, StoreError> {
    let brand: Option<&str> = read(row, "brand_id")?;
    let unknown = |column: &str, word: &str| StoreError::Unreadable(format!("column {column}: {word}"));
    let action = match read::<&str>(row, "action")? {
        "republish" => JobAction::Republish,
        "delete" => JobAction::Delete,
        other => return Err(unknown("action", other)),
    };
    let state = match read::<&str>(row, "state")? {
        "running" => JobState::Running,
        "finished" => JobState::Finished,
        "stopped" => JobState::Stopped,
        other => return Err(unknown("state", other)),
    };
    Ok(Job {
        id: read(row, "id")?,
        work: NewJob {
            action,
            brand: brand.map(|_| read_word(row, "brand_id")).transpose()?,
            reason: read(row, "reason")?,
            event_type: read(row, "type")?,
            max_messages: read(row, "max_messages")?,
            actor: read(row, "actor")?,
        },
        state,
        done: read(row, "done")?,
        total: read(row, "total")?,
        created: read(row, "created")?,
        updated: read(row, "updated")?,
        audit_id: read(row, "audit_id")?,
    })
}
