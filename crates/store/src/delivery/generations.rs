//! Closing generations: the pending deliveries of a webhook that stopped receiving get their final status.

use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;

use crate::db::Params;
use crate::error::StoreError;
use crate::keyset::KeysetPosition;
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
        match close_once(store, webhook, generation, status).await? {
            // A router may have stored a delivery behind the position of the last pass.
            0 => return Ok(closed),
            number => closed += number,
        }
    }
}

/// Closes pending deliveries in one pass from the oldest to the newest, and returns their number.
///
/// Each batch begins after the one before. If it began with the oldest delivery, it would visit the index entries of
/// all deliveries that were closed before, which a long transaction keeps.
async fn close_once(
    store: &Store,
    webhook: WebhookId,
    generation: i32,
    status: DeliveryStatus,
) -> Result<u64, StoreError> {
    let mut closed = 0;
    let mut after = KeysetPosition::FIRST;
    loop {
        let KeysetPosition { at, id } = after;
        let params: Params<'_> = &[&webhook.0, &generation, &status.as_str(), &at, &id, &MAX_BATCH];
        let Some(row) = store.query_opt(sql!("generations/close_batch"), params).await? else {
            return Ok(closed);
        };
        closed += u64::try_from(read::<i64>(&row, "closed")?).unwrap_or(0);
        after = KeysetPosition { at: read(&row, "created")?, id: read(&row, "event_id")? };
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
