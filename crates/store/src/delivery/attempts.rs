//! Reading the attempts of a delivery, and the exchange of one of them.

use domain::delivery::attempt::{Outcome, Trigger};
use domain::ids::{AttemptId, EventId, WebhookId};
use domain::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::Executor;
use crate::error::StoreError;
use crate::rows::{read, read_word};

/// One HTTP request and its outcome.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its identity.
    pub id: AttemptId,
    /// When it started.
    pub started_at: Timestamp,
    /// Its duration in milliseconds.
    pub duration_ms: i32,
    /// Its outcome.
    pub outcome: Outcome,
    /// The HTTP status, if a response was received.
    pub status_code: Option<i32>,
    /// The error.
    pub error: Option<String>,
    /// The start of the response body.
    pub response_body: Option<String>,
    /// The reason for the attempt.
    pub trigger: Trigger,
}

/// Finds one attempt of a delivery, with its exchange in the stored form (`domain::delivery::exchange`). An attempt of an
/// earlier release has no exchange.
///
/// # Errors
/// When the database fails.
pub async fn find_attempt(
    db: &impl Executor,
    webhook: WebhookId,
    (event, created): (EventId, Timestamp),
    attempt: AttemptId,
) -> Result<Option<(Attempt, Option<Vec<u8>>)>, StoreError> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&webhook.0, &created, &event.to_uuid(), &attempt.to_uuid()];
    let rows = db.query_rows(sql!("attempts/find"), &params).await?;
    rows.first().map(|row| Ok((read_attempt(row)?, read(row, "exchange")?))).transpose()
}

/// Lists at most `limit` attempts of a delivery after `after`, the oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list_attempts(
    db: &impl Executor,
    webhook: WebhookId,
    (event, created): (EventId, Timestamp),
    after: Option<AttemptId>,
    limit: i64,
) -> Result<Vec<Attempt>, StoreError> {
    let after = after.map_or(Uuid::nil(), AttemptId::to_uuid);
    let rows = db
        .query_rows(sql!("attempts/page"), &[&webhook.0, &created, &event.to_uuid(), &after, &limit])
        .await?;
    rows.iter().map(read_attempt).collect()
}

fn read_attempt(row: &Row) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        id: AttemptId::from_uuid(read(row, "attempt_id")?),
        started_at: read(row, "started_at")?,
        duration_ms: read(row, "duration_ms")?,
        outcome: read_word(row, "outcome")?,
        status_code: read(row, "status_code")?,
        error: read(row, "error")?,
        response_body: read(row, "response_body")?,
        trigger: read_word(row, "trigger")?,
    })
}
