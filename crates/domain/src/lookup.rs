//! "Where is my event?": what became of an event, and of its delivery to each webhook of its brand, with the reason.
//!
//! The caller gives facts, and [`explain_event`] and [`explain_webhook`] turn them into a word and a sentence. The reason
//! why a webhook has no delivery follows from the webhook as it was when the event was matched, whatever it is now.

mod queue;
mod webhook;

pub use queue::{QueueFacts, RecentAttempts};
pub use webhook::{DeliveryFacts, Explanation, WebhookFacts, WebhookThen, explain_webhook};

use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// The disposition of an event: its fate as a whole (contract §4.1).
    Disposition {
        /// At least one webhook receives it, or received it.
        Routed = "routed",
        /// It was taken, but no active webhook of the brand subscribed to its type.
        NoWebhook = "no_webhook",
        /// Its type is not enabled for the brand, so that it was dropped.
        NotEnabled = "not_enabled",
        /// The router rejected it.
        Rejected = "rejected",
    }
}

vocabulary! {
    /// The result of an event at one webhook (contract §4.1).
    LookupResult {
        /// The endpoint accepted it.
        Delivered = "delivered",
        /// No attempt succeeded within the retry window.
        Failed = "failed",
        /// The webhook was disabled before it was delivered.
        Held = "held",
        /// The webhook was paused or deleted while it waited.
        Discarded = "discarded",
        /// An attempt failed, and the next one has a time.
        Retrying = "retrying",
        /// It is due, and waits for its attempt.
        Queued = "queued",
        /// The webhook did not subscribe to its type.
        NotSubscribed = "not_subscribed",
        /// The brand had paused the webhook.
        Paused = "paused",
        /// The webhook was disabled, and nothing was kept for it.
        Disabled = "disabled",
        /// The webhook was created after the event was matched.
        CreatedLater = "created_later",
    }
}

/// Returns the sentence about the disposition of an event; `None` if its webhooks say it all.
///
/// `event_type` is the text of its type, and `reason` the code of a rejection with its explanation.
#[must_use]
pub fn explain_event(
    disposition: Disposition,
    event_type: Option<&str>,
    reason: Option<(&str, &str)>,
) -> Option<String> {
    let event_type = event_type.unwrap_or("its type");
    match disposition {
        Disposition::Routed => None,
        Disposition::NoWebhook => Some(explain_no_webhook(event_type, &[])),
        Disposition::NotEnabled => Some(format!(
            "{event_type} was not enabled for the brand when the event was routed, so it was dropped. Support enables \
             types for a brand; publish the event again afterwards."
        )),
        Disposition::Rejected => {
            let (code, detail) = reason.unwrap_or(("unknown", "no reason is known"));
            let end = if detail.ends_with(['.', '…']) { "" } else { "." };
            Some(format!("The router rejected the event ({code}): {detail}{end}"))
        }
    }
}

/// Returns the sentence about an event that no webhook received. `results` are its results at the brand's webhooks, as far
/// as they are known.
///
/// A disabled webhook that subscribes gets a held delivery, so that only a paused one can lack a delivery.
#[must_use]
pub fn explain_no_webhook(event_type: &str, results: &[LookupResult]) -> String {
    if results.contains(&LookupResult::Paused) {
        format!(
            "Every webhook that subscribed to {event_type} was paused when the event was routed, so nothing was recorded \
             for it."
        )
    } else {
        format!("No active webhook of the brand subscribed to {event_type} when the event was routed.")
    }
}

/// Formats an instant for a sentence: the time of day if it is within twelve hours of `now`, otherwise with the date.
fn format_instant(at: Timestamp, now: Timestamp) -> String {
    let is_near = (now - at).abs() < chrono::TimeDelta::hours(12);
    let pattern = if is_near { "%H:%M:%S UTC" } else { "%Y-%m-%d %H:%M:%S UTC" };
    at.format(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_disposition_but_routed_has_a_sentence_of_its_own() {
        let explain =
            |disposition| explain_event(disposition, Some("A.B"), Some(("too_large", "it is large")));
        assert_eq!(explain(Disposition::Routed), None);
        let others = [Disposition::NoWebhook, Disposition::NotEnabled, Disposition::Rejected];
        let sentences = others.map(|disposition| explain(disposition).expect("a sentence"));
        assert!(sentences[0].contains("A.B") && sentences[1].contains("A.B"), "{sentences:?}");
        assert_eq!(sentences[2], "The router rejected the event (too_large): it is large.");
        assert!(sentences.iter().all(|sentence| sentence.ends_with('.')));
    }

    #[test]
    fn an_event_that_no_webhook_received_names_paused_webhooks_if_there_are_any() {
        let none = "No active webhook of the brand subscribed to A.B when the event was routed.";
        assert_eq!(explain_no_webhook("A.B", &[]), none);
        assert_eq!(
            explain_no_webhook("A.B", &[LookupResult::NotSubscribed, LookupResult::CreatedLater]),
            none
        );
        assert_eq!(
            explain_no_webhook("A.B", &[LookupResult::NotSubscribed, LookupResult::Paused]),
            "Every webhook that subscribed to A.B was paused when the event was routed, so nothing was recorded for it."
        );
        assert_eq!(explain_event(Disposition::NoWebhook, Some("A.B"), None).as_deref(), Some(none));
    }
}
