//! The processes that are alive. Each renews its row, and the deliverers share the webhooks among those of their
//! service.

use std::time::Duration;

use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, to_millis};

/// Interval at which a process renews its row.
pub const RENEW_INTERVAL: Duration = Duration::from_secs(1);
/// Time after its last renewal until a process counts as dead. When owner and standby die together, other replicas take
/// over their webhooks after this timeout and one more renewal.
pub const ALIVE_TIMEOUT: Duration = Duration::from_secs(4);

const _: () = assert!(ALIVE_TIMEOUT.as_secs() >= 3 * RENEW_INTERVAL.as_secs());

/// A process of one of the three services.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its identity, new for each start.
    pub id: Uuid,
    /// `subscription-api`, `router` or `deliverer`.
    pub service: &'static str,
    /// The host that it runs on.
    pub host: String,
    /// Its version.
    pub version: &'static str,
    /// The retention of events in its settings.
    pub retention: Duration,
}

impl Instance {
    /// Describes this process.
    #[must_use]
    pub fn new(service: &'static str, version: &'static str, retention: Duration) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        Self { id: Uuid::new_v4(), service, host, version, retention }
    }
}

/// Renews the row of this process.
///
/// # Errors
/// When the database fails.
pub async fn renew_instance(store: &Store, me: &Instance) -> Result<(), StoreError> {
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&me.id, &me.service, &me.host, &me.version, &to_millis(me.retention)];
    store.execute(sql!("instances/renew"), params).await?;
    Ok(())
}

/// Lists the processes of a service that are alive, by the database's clock, in order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn list_alive(store: &Store, service: &str) -> Result<Vec<Uuid>, StoreError> {
    let rows = store.query(sql!("instances/alive"), &[&service, &ALIVE_TIMEOUT.as_secs_f64()]).await?;
    rows.iter().map(|row| read(row, "id")).collect()
}

/// Removes the row of this process, so that others take over at once.
///
/// # Errors
/// When the database fails; then the row expires after [`ALIVE_TIMEOUT`].
pub async fn remove_instance(store: &Store, me: &Instance) -> Result<(), StoreError> {
    store.execute(sql!("instances/leave"), &[&me.id]).await?;
    Ok(())
}
