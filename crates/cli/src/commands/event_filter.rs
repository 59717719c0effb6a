//! Options that select some of a webhook's events.

use clap::Args;

use crate::client::Query;

/// The events to select: all options must match.
#[derive(Debug, Args)]
pub(crate) struct EventFilter {
    /// Only events created at or after this time (RFC 3339)
    #[arg(long)]
    from: Option<String>,
    /// Only events created before this time (RFC 3339)
    #[arg(long)]
    to: Option<String>,
    /// Only events of this type or group
    #[arg(long = "type")]
    event_type: Option<String>,
    /// Only events with this delivery status: pending, delivered, failed, held or discarded
    #[arg(long)]
    status: Option<String>,
}

impl EventFilter {
    /// Returns the query parameters for the options that are set.
    pub(super) fn into_query(self) -> Query<'static> {
        let named =
            [("from", self.from), ("to", self.to), ("type", self.event_type), ("status", self.status)];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_holds_only_the_options_that_are_set() {
        let none = EventFilter { from: None, to: None, event_type: None, status: None };
        assert!(none.into_query().is_empty());
        let some =
            EventFilter { from: None, to: None, event_type: Some("A".into()), status: Some("held".into()) };
        assert_eq!(some.into_query(), [("type", "A".to_owned()), ("status", "held".to_owned())]);
    }
}
