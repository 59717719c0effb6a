//! The status of a webhook, and the reason why a webhook is disabled.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// The status of a webhook, which decides whether it receives events (contract §4).
    WebhookStatus {
        /// The webhook receives events.
        Active = "active",
        /// The brand set `enabled: false`.
        Paused = "paused",
        /// The platform or support disabled the webhook; only support can re-enable it.
        Disabled = "disabled",
        /// The brand deleted the webhook; support can still read its events.
        Deleted = "deleted",
    }
}

vocabulary! {
    /// The reason why a webhook is disabled (contract §5).
    DisabledReason {
        /// The endpoint answered 410 (Gone).
        Gone = "gone",
        /// Too large a share of its attempts failed.
        Failing = "failing",
        /// Too many consecutive deliveries failed.
        Unresponsive = "unresponsive",
        /// Support disabled the webhook.
        Support = "support",
    }
}
