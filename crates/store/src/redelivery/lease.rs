//! Who works off the redeliveries of a webhook: one worker of all replicas, by a lease.

use std::time::Duration;

use domain::ids::WebhookId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;

/// How often a holder extends its claim.
pub const EXTEND_INTERVAL: Duration = Duration::from_secs(2);
/// How long a claim lasts that is not extended: so long nothing is sent again after its holder died.
pub const LEASE_TIMEOUT: Duration = Duration::from_secs(6);

const _: () = assert!(LEASE_TIMEOUT.as_secs() >= 3 * EXTEND_INTERVAL.as_secs());

/// Takes the claim on a webhook's redeliveries, or extends it; false when another holder has it.
///
/// # Errors
/// When the database fails; then the claim may have been taken, and lapses.
pub async fn claim_redelivery(store: &Store, webhook: WebhookId, holder: Uuid) -> Result<bool, StoreError> {
    let seconds = LEASE_TIMEOUT.as_secs_f64();
    let row = store.query_opt(sql!("redelivery_lease/claim"), &[&webhook.0, &holder, &seconds]).await?;
    Ok(row.is_some())
}

/// Lets go of the claim, so that another may begin at once.
///
/// # Errors
/// When the database fails; then the claim lapses.
pub async fn release_redelivery(store: &Store, webhook: WebhookId, holder: Uuid) -> Result<(), StoreError> {
    store.execute(sql!("redelivery_lease/release"), &[&webhook.0, &holder]).await?;
    Ok(())
}
