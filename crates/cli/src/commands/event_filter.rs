//! Options that choose some of a webhook's events.

use clap::Args;

use crate::client::Query;

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct EventFilter {
    /// Created at this instant or later (RFC 3339)
    #[arg(long)]
    pub(super) from: Option<String>,
    /// Created before this instant (RFC 3339)
    #[arg(long)]
    pub(super) to: Option<String>,
    /// Of this type or group
    #[arg(long = "type")]
    pub(super) event_type: Option<String>,
    /// pending, delivered, failed, held or discarded
    #[arg(long)]
    pub(super) status: Option<String>,
}

impl EventFilter {
    pub(super) fn into_query(self) -> Query<'static> {
        let named =
            [("from", self.from), ("to", self.to), ("type", self.event_type), ("status", self.status)];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
