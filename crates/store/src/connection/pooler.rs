//! Recognizes a pooler that shares server connections between transactions, such as PgBouncer in transaction mode.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::SimpleQueryMessage;
use tracing::info;

use crate::connection::manager::Connection;
use crate::error::{LostStatement, StoreError, is_statement_lost};
use crate::pool::Store;

/// Bounds the check. A pooler with a single server connection lets one of the two sessions wait.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Checks that prepared statements survive, if two sessions share a server connection.
///
/// # Errors
/// [`StoreError::Unavailable`] with the reason when they do not. Statements would then fail now and then.
pub(crate) async fn check_pooler(store: &Store) -> Result<(), StoreError> {
    let first = Connection::take(store.client().await?);
    let second = Connection::take(store.client().await?);
    match tokio::time::timeout(CHECK_TIMEOUT, compare_sessions(&first, &second)).await {
        Ok(Err(error)) if is_statement_lost(&error) => {
            Err(StoreError::Unavailable(Box::new(LostStatement(error))))
        }
        Ok(compared) => Ok(compared?),
        // Statements show whether it works.
        Err(_) => Ok(()),
    }
}

async fn compare_sessions(
    first: &ClientWrapper,
    second: &ClientWrapper,
) -> Result<(), tokio_postgres::Error> {
    let prepared = first.prepare("SELECT pg_backend_pid()").await?;
    let pid: i32 = first.query_one(&prepared, &[]).await?.try_get(0)?;
    // The transaction keeps its server connection, so that the prepared statement goes to another one.
    let begun = second.simple_query("BEGIN; SELECT pg_backend_pid()").await?;
    let is_shared = begun.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some(pid.to_string().as_str()),
        _ => false,
    });
    if is_shared {
        info!("a pooler shares the connections of PostgreSQL between transactions");
        first.query_one(&prepared, &[]).await?;
    }
    second.simple_query("ROLLBACK").await.map(drop)
}
