//! Settling what waited when a webhook stopped receiving.

use domain::delivery::DeliveryStatus;
use domain::ids::WebhookId;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// Deliveries settled in one statement: short enough to hold up nobody.
const CHUNK: i64 = 2000;

/// Settles all pending deliveries of generations before `generation`, chunk by chunk. It may be
/// stopped anywhere and run again. The number of deliveries settled.
///
/// # Errors
/// When the database fails; what was settled stays so.
pub async fn close_generations(
    store: &Store,
    webhook: WebhookId,
    generation: i32,
    settle_as: DeliveryStatus,
) -> Result<u64, StoreError> {
    let mut settled = 0;
    loop {
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [&webhook.0, &generation, &settle_as.as_str(), &CHUNK];
        match store.execute(sql!("generations/close_batch"), &params).await? {
            0 => return Ok(settled),
            some => settled += some,
        }
    }
}

/// Settles the pending deliveries of ended generations as the webhook says: those that a router stored late.
///
/// # Errors
/// When the database fails; what was settled stays so.
pub(crate) async fn close_ended(store: &Store, webhook: WebhookId) -> Result<(), StoreError> {
    let Some(row) = store.query_opt(sql!("generations/find_closing_status"), &[&webhook.0]).await? else {
        return Ok(());
    };
    let settle_as = read_word(&row, "settle_as")?;
    close_generations(store, webhook, read(&row, "generation")?, settle_as).await?;
    Ok(())
}

/// Notes that the generations before `generation` are settled.
///
/// # Errors
/// When the database fails.
pub async fn record_closed(store: &Store, webhook: WebhookId, generation: i32) -> Result<(), StoreError> {
    store.execute(sql!("generations/record_closed"), &[&webhook.0, &generation]).await?;
    Ok(())
}
