//! Which processes are there: each renews its row, and the deliverers share the webhooks by them.

use std::time::Duration;

use uuid::Uuid;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, to_millis};

/// How often a process renews its row.
pub const RENEW_INTERVAL: Duration = Duration::from_secs(1);
/// How long a process counts as alive after it renewed its row. What owner and standby leave behind when
/// they die together is taken up after this and one renewal of another's.
pub const ALIVE_TIMEOUT: Duration = Duration::from_secs(4);

const _: () = assert!(ALIVE_TIMEOUT.as_secs() >= 3 * RENEW_INTERVAL.as_secs());

/// A process of ours.
#[derive(Debug, Clone)]
pub struct Instance {
    /// New for each start.
    pub id: Uuid,
    /// `subscription-api`, `router` or `deliverer`.
    pub service: &'static str,
    /// Where it runs.
    pub host: String,
    /// Which version it is.
    pub version: &'static str,
    /// How long it keeps events readable.
    pub retention: Duration,
}

impl Instance {
    /// This process.
    #[must_use]
    pub fn new(service: &'static str, version: &'static str, retention: Duration) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        Self { id: Uuid::new_v4(), service, host, version, retention }
    }
}

/// Says that the process is there.
///
/// # Errors
/// When the database fails.
pub async fn renew_instance(store: &Store, me: &Instance) -> Result<(), StoreError> {
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&me.id, &me.service, &me.host, &me.version, &to_millis(me.retention)];
    store.execute(sql!("instances/renew"), params).await?;
    Ok(())
}

/// The processes of a service that are alive, by the database's clock alone, in order of their ids.
///
/// # Errors
/// When the database fails.
pub async fn list_alive(store: &Store, service: &str) -> Result<Vec<Uuid>, StoreError> {
    let rows = store.query(sql!("instances/alive"), &[&service, &ALIVE_TIMEOUT.as_secs_f64()]).await?;
    rows.iter().map(|row| read(row, "id")).collect()
}

/// Says that the process is leaving, so that others take over at once.
///
/// # Errors
/// When the database fails; then its row grows old.
pub async fn remove_instance(store: &Store, me: &Instance) -> Result<(), StoreError> {
    store.execute(sql!("instances/leave"), &[&me.id]).await?;
    Ok(())
}
