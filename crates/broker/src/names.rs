//! The names of all exchanges and queues.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use domain::ids::{BrandId, WebhookId};

/// Longest namespace, in bytes. With the longest suffix a name stays far below AMQP's limit of 255 bytes.
const MAX_NAMESPACE_BYTES: usize = 64;

/// The prefix of every name in RabbitMQ (`POSTRIDER_NAMESPACE`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace(String);

impl FromStr for Namespace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let is_length_allowed = (1..=MAX_NAMESPACE_BYTES).contains(&text.len());
        if is_length_allowed && text.bytes().all(is_allowed) && !text.starts_with("amq.") {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "a namespace has 1 to {MAX_NAMESPACE_BYTES} of A-Z a-z 0-9 . _ - and does not begin with amq."
            ))
        }
    }
}

impl Namespace {
    /// Topic exchange that producers publish events to (contract §2).
    #[must_use]
    pub fn events_exchange(&self) -> String {
        self.with_suffix("events")
    }

    /// Queue that the routers consume.
    #[must_use]
    pub fn ingest_queue(&self) -> String {
        self.with_suffix("ingest")
    }

    /// Direct exchange to the ingest queue and its spare; the routing key is the queue's name. Probes and the platform's
    /// own events go through it. Producers have no permission to write to it, so that an event of a built-in type that
    /// comes through it is genuine.
    #[must_use]
    pub fn ingest_exchange(&self) -> String {
        self.with_suffix("ingest")
    }

    /// Queue that takes events in place of [`Self::ingest_queue`] while that queue stores nothing.
    #[must_use]
    pub fn ingest_spare_queue(&self) -> String {
        self.with_suffix("ingest.spare")
    }

    /// Queue that the routers of earlier versions consumed. It is drained and deleted, because it does not dead-letter
    /// messages that no router can handle, and a queue's arguments cannot be changed in place.
    #[must_use]
    pub fn legacy_queue(&self) -> String {
        self.with_suffix("router")
    }

    /// Exchange and queue of messages that RabbitMQ moved out of the ingest queues: expired, or returned too often.
    #[must_use]
    pub fn quarantine_queue(&self) -> String {
        self.with_suffix("quarantine")
    }

    /// Exchange and queue of probes, which expire at once. Their confirms show whether RabbitMQ stores messages.
    #[must_use]
    pub fn probe_queue(&self) -> String {
        self.with_suffix("probe")
    }

    /// Queue of messages that the router rejected (contract §2), and the exchange in front of it.
    #[must_use]
    pub fn rejected_queue(&self) -> String {
        self.with_suffix("rejected")
    }

    /// Topic exchange of notices to operators (contract §5).
    #[must_use]
    pub fn notices_exchange(&self) -> String {
        self.with_suffix("notices")
    }

    /// Direct exchange to the webhooks' queues; the routing key is the webhook's id.
    #[must_use]
    pub fn deliveries_exchange(&self) -> String {
        self.with_suffix("deliveries")
    }

    /// Exchange and queue of deliveries whose webhook has no queue.
    #[must_use]
    pub fn unrouted_queue(&self) -> String {
        self.with_suffix("unrouted")
    }

    /// Direct exchange to the backlog queues of brands; the routing key is the brand's id.
    #[must_use]
    pub fn backlog_exchange(&self) -> String {
        self.with_suffix("backlog")
    }

    /// Queue of the events of one brand that routers moved out of the ingest queue.
    #[must_use]
    pub fn backlog_queue(&self, brand: &BrandId) -> String {
        self.with_suffix(&format!("backlog.{brand}"))
    }

    /// Returns whether this is the name of the backlog queue of a brand.
    #[must_use]
    pub fn is_backlog_queue(&self, queue: &str) -> bool {
        queue.starts_with(&self.with_suffix("backlog."))
    }

    /// Queue of one webhook.
    #[must_use]
    pub fn webhook_queue(&self, id: WebhookId) -> String {
        self.with_suffix(&format!("webhook.{id}"))
    }

    /// Exchange and queue in which retries wait for this delay.
    #[must_use]
    pub fn delay_queue(&self, delay: Duration) -> String {
        let is_whole_seconds = delay.subsec_nanos() == 0;
        let text = if is_whole_seconds {
            format!("{}s", delay.as_secs())
        } else {
            format!("{}ms", delay.as_millis())
        };
        self.with_suffix(&format!("wait.{text}"))
    }

    fn with_suffix(&self, suffix: &str) -> String {
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
    fn names_are_those_of_the_contract() {
        let ns: Namespace = "postrider".parse().expect("valid");
        assert_eq!(ns.events_exchange(), "postrider.events");
        assert_eq!(ns.delay_queue(Duration::from_secs(1200)), "postrider.wait.1200s");
        assert_eq!(ns.delay_queue(Duration::from_millis(1500)), "postrider.wait.1500ms");
        for bad in ["", "a b", "amq.x", &"x".repeat(65)] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad}");
        }
    }
}
