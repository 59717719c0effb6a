//! Closing generations: the pending deliveries of a webhook that stopped receiving get their final status.

use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// Bounds the deliveries that one statement closes, so that its locks are short.
const MAX_BATCH: i64 = 2000;

/// Closes all pending deliveries of generations before `generation`, batch by batch, and returns their number.
///
/// It may be interrupted at any point and run again.
///
/// # Errors
/// When the database fails. Deliveries that were closed before stay so.
pub async fn close_generations(
    store: &Store,
    webhook: WebhookId,
    generation: i32,
    status: DeliveryStatus,
) -> Result<u64, StoreError> {
    let mut closed = 0;
    loop {
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&webhook.0, &generation, &status.as_str(), &MAX_BATCH];
        match store.execute(sql!("generations/close_batch"), &params).await? {
            0 => return Ok(closed),
            number => closed += number,
        }
    }
}

/// Closes the pending deliveries of ended generations with the webhook's closing status. A router stored them late.
///
/// # Errors
/// When the database fails. Deliveries that were closed before stay so.
pub(crate) async fn close_ended(store: &Store, webhook: WebhookId) -> Result<(), StoreError> {
    let Some(row) = store.query_opt(sql!("generations/find_closing_status"), &[&webhook.0]).await? else {
        return Ok(());
    };
    let status = read_word(&row, "settle_as")?;
    close_generations(store, webhook, read(&row, "generation")?, status).await?;
    Ok(())
}

/// Records that the generations before `generation` are closed.
///
/// # Errors
/// When the database fails.
pub async fn record_closed(store: &Store, webhook: WebhookId, generation: i32) -> Result<(), StoreError> {
    store.execute(sql!("generations/record_closed"), &[&webhook.0, &generation]).await?;
    Ok(())
}
