//! The outbox: messages that were written in the transaction of a change and are published afterwards.

use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::read;

/// Bounds the messages that one call loads.
const BATCH_SIZE: i64 = 100;

/// A message to publish.
#[derive(Debug)]
pub struct OutboxMessage {
    /// Its identity, and the AMQP `message_id`.
    pub id: Uuid,
    /// `notices` or `events`.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// The JSON body.
    pub body: String,
}

/// Lists the oldest messages of the outbox.
///
/// # Errors
/// When the database fails.
pub async fn list_waiting(store: &Store) -> Result<Vec<OutboxMessage>, StoreError> {
    let rows = store.query(sql!("outbox/waiting"), &[&BATCH_SIZE]).await?;
    let message = |row: &tokio_postgres::Row| {
        Ok(OutboxMessage {
            id: read(row, "id")?,
            exchange: read(row, "exchange")?,
            routing_key: read(row, "routing_key")?,
            body: read(row, "body")?,
        })
    };
    rows.iter().map(message).collect()
}

/// Deletes messages that the broker confirmed.
///
/// # Errors
/// When the database fails. The messages are then published again with the same ids.
pub async fn delete_sent(store: &Store, ids: &[Uuid]) -> Result<(), StoreError> {
    store.execute(sql!("outbox/delete_sent"), &[&ids]).await?;
    Ok(())
}
