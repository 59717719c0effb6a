//! The lease on the redeliveries of a webhook: one replica at a time attempts them.

use std::time::Duration;

use domain::ids::WebhookId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;

/// Interval at which a holder extends its lease.
pub const EXTEND_INTERVAL: Duration = Duration::from_secs(2);
/// Time until a lease lapses that is not extended. After its holder died, redelivery stands still for at most this
/// long.
pub const LEASE_TIMEOUT: Duration = Duration::from_secs(6);

const _: () = assert!(LEASE_TIMEOUT.as_secs() >= 3 * EXTEND_INTERVAL.as_secs());

/// Claims or extends the lease on a webhook's redeliveries. False when another holder has it.
///
/// # Errors
/// When the database fails. The lease may have been claimed nevertheless, and then lapses.
pub async fn claim_redelivery(store: &Store, webhook: WebhookId, holder: Uuid) -> Result<bool, StoreError> {
    let seconds = LEASE_TIMEOUT.as_secs_f64();
    let row = store.query_opt(sql!("redelivery_lease/claim"), &[&webhook.0, &holder, &seconds]).await?;
    Ok(row.is_some())
}

/// Releases the lease, so that another replica can claim it at once.
///
/// # Errors
/// When the database fails. The lease then lapses.
pub async fn release_redelivery(store: &Store, webhook: WebhookId, holder: Uuid) -> Result<(), StoreError> {
    store.execute(sql!("redelivery_lease/release"), &[&webhook.0, &holder]).await?;
    Ok(())
}
