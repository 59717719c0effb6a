//! One retention for all processes. The longest retention applies, and no process starts with a shorter one.

use std::time::Duration;

use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, to_millis};

/// Time after its last renewal until the retention of a process no longer counts.
///
/// It is longer than [`crate::instances::ALIVE_TIMEOUT`], because dropped events cannot be restored.
pub const SEEN_TIMEOUT: Duration = Duration::from_secs(60);

const _: () = assert!(SEEN_TIMEOUT.as_secs() > crate::instances::ALIVE_TIMEOUT.as_secs());

/// The longer retention of another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongerRetention {
    /// Its retention.
    pub retention: Duration,
    /// Its service.
    pub service: String,
    /// The host that it runs on.
    pub host: String,
}

/// Finds the process with the longest retention, if it is longer than `own`.
///
/// # Errors
/// When the database fails.
pub async fn find_longer(store: &Store, own: Duration) -> Result<Option<LongerRetention>, StoreError> {
    let row = store.query_opt(sql!("instances/longest_retention"), &[&to_millis(SEEN_TIMEOUT)]).await?;
    let Some(row) = row else { return Ok(None) };
    let longest: i64 = read(&row, "retention_ms")?;
    if longest <= to_millis(own) {
        return Ok(None);
    }
    let retention = Duration::from_millis(u64::try_from(longest).unwrap_or(0));
    Ok(Some(LongerRetention { retention, service: read(&row, "service")?, host: read(&row, "host")? }))
}

/// Finds the longest retention of this process and all other processes.
///
/// # Errors
/// When the database fails.
pub async fn find_longest(store: &Store, own: Duration) -> Result<Duration, StoreError> {
    Ok(find_longer(store, own).await?.map_or(own, |longer| longer.retention))
}

/// Ends this process when its retention is shorter than another's, because it would drop events too early.
///
/// # Errors
/// When the database fails.
pub(crate) async fn refuse_shorter(store: &Store, own: Duration) -> Result<(), StoreError> {
    match find_longer(store, own).await? {
        Some(longer) => runtime::settings::refuse(&longer.describe_refusal(own)),
        None => Ok(()),
    }
}

impl LongerRetention {
    /// Describes the refusal in a line that names the setting and both values.
    fn describe_refusal(&self, own: Duration) -> String {
        let Self { retention, service, host } = self;
        format!(
            "setting --retention (POSTRIDER_RETENTION) is not valid: {own:?} is shorter than the {retention:?} of a \
             {service} on {host} that runs now; stop all processes before you shorten it"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_one_line_with_the_setting_and_both_values() {
        let longer = LongerRetention {
            retention: Duration::from_secs(604_800),
            service: "router".to_owned(),
            host: "one".to_owned(),
        };
        let line = longer.describe_refusal(Duration::from_secs(86_400));
        assert!(
            ["POSTRIDER_RETENTION", "86400s", "604800s", "router", "one"]
                .iter()
                .all(|part| line.contains(part)),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }
}
