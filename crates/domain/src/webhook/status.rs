//! Whether a webhook receives events, and why it is disabled.

use crate::vocabulary::vocabulary;

vocabulary! {
    /// Whether a webhook receives events (contract §4).
    WebhookStatus {
        /// It does.
        Active = "active",
        /// The brand set `enabled: false`.
        Paused = "paused",
        /// The platform or support disabled it; only support re-enables it.
        Disabled = "disabled",
        /// The brand deleted it; only its events are still readable, by support.
        Deleted = "deleted",
    }
}

vocabulary! {
    /// Why a webhook is disabled (contract §5).
    DisabledReason {
        /// It answered 410.
        Gone = "gone",
        /// Too many of its attempts failed.
        Failing = "failing",
        /// Too many deliveries in a row failed.
        Unresponsive = "unresponsive",
        /// Support disabled it.
        Support = "support",
    }
}
