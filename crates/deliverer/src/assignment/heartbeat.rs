//! Renews the row that shows that this replica lives.
//!
//! A task of its own does so, on the control pool: no other work of the replica delays a renewal, however long the
//! statements of that work take.

use store::Store;
use store::instances::{self, Instance, RENEW_INTERVAL};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::telemetry::{self, Operation};

/// Renews the row of `me` until `stop`, and publishes the replicas that are alive. Then removes the row, so that others
/// take over at once.
pub(crate) async fn renew_until_stopped(
    store: Store,
    me: Instance,
    alive: watch::Sender<Vec<Uuid>>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        match renew(&store, &me).await {
            Ok(replicas) => {
                alive.send_replace(replicas);
            }
            // While the database is away, the replicas stay as they are.
            Err(error) => telemetry::report_retry(Operation::RenewInstance, &error),
        }
        tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(RENEW_INTERVAL) => {} }
    }
    // After the last renewal, which would otherwise insert the row again.
    if let Err(error) = instances::remove_instance(&store, &me).await {
        telemetry::report_failed_leave(&error);
    }
}

async fn renew(store: &Store, me: &Instance) -> Result<Vec<Uuid>, store::StoreError> {
    instances::renew_instance(store, me).await?;
    instances::list_alive(store, me.service).await
}
