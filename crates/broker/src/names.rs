//! The names of everything in the broker, each in one place.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::ids::WebhookId;

/// Longest namespace: with the longest suffix a name stays far below AMQP's 255 bytes.
const LONGEST: usize = 64;

/// What every broker name begins with (`POSTRIDER_NAMESPACE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with("amq.") {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("it is 1 to {LONGEST} of A-Z a-z 0-9 . _ - and does not begin with amq."))
        }
    }
}

impl Namespace {
    /// Topic exchange that producers publish events to (contract §2).
    #[must_use]
    pub fn events(&self) -> String {
        self.with("events")
    }

    /// Queue that the routers consume, and the direct exchange over which it and its spare are probed.
    #[must_use]
    pub fn ingest(&self) -> String {
        self.with("ingest")
    }

    /// Queue that takes events in place of [`Self::ingest`] while that one stores nothing.
    #[must_use]
    pub fn ingest_spare(&self) -> String {
        self.with("ingest.spare")
    }

    /// Queue that the routers of earlier versions consumed. Its arguments have no way out for a message that nobody
    /// can handle and cannot be changed in place, so that it is drained and deleted.
    #[must_use]
    pub fn legacy_router(&self) -> String {
        self.with("router")
    }

    /// Exchange and queue of what the broker took out of [`Self::ingest`]: expired, or returned too often.
    #[must_use]
    pub fn quarantine(&self) -> String {
        self.with("quarantine")
    }

    /// Exchange and queue of probes, which expire at once: they show whether the broker stores messages.
    #[must_use]
    pub fn probe(&self) -> String {
        self.with("probe")
    }

    /// Queue of what the router refused (contract §2), and the exchange in front of it.
    #[must_use]
    pub fn rejected(&self) -> String {
        self.with("rejected")
    }

    /// Topic exchange of notices to operators (contract §5).
    #[must_use]
    pub fn notices(&self) -> String {
        self.with("notices")
    }

    /// Direct exchange to the webhooks' queues; the routing key is the webhook's id.
    #[must_use]
    pub fn deliveries(&self) -> String {
        self.with("deliveries")
    }

    /// Exchange and queue of deliveries whose webhook has no queue.
    #[must_use]
    pub fn unrouted(&self) -> String {
        self.with("unrouted")
    }

    /// Queue of one webhook.
    #[must_use]
    pub fn webhook(&self, id: WebhookId) -> String {
        self.with(&format!("webhook.{id}"))
    }

    /// Exchange and queue in which deliveries wait for this long.
    #[must_use]
    pub fn wait(&self, delay: Duration) -> String {
        let whole_seconds = delay.subsec_nanos() == 0;
        let text =
            if whole_seconds { format!("{}s", delay.as_secs()) } else { format!("{}ms", delay.as_millis()) };
        self.with(&format!("wait.{text}"))
    }

    fn with(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.0)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_contracts() {
        let ns: Namespace = "postrider".parse().expect("valid");
        assert_eq!(ns.events(), "postrider.events");
        assert_eq!(ns.wait(Duration::from_secs(1200)), "postrider.wait.1200s");
        assert_eq!(ns.wait(Duration::from_millis(1500)), "postrider.wait.1500ms");
        for bad in ["", "a b", "amq.x", &"x".repeat(65)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad}");
        }
    }
}
