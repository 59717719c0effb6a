//! Explains the result of an event at one webhook.

use super::queue::{QueueFacts, explain_queue};
use super::{LookupResult, format_instant};
use crate::delivery::DeliveryStatus;
use crate::time::Timestamp;
use crate::webhook::{DisabledReason, WebhookStatus};

/// The webhook when the event was matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookThen {
    /// It did not exist yet.
    NotCreated,
    /// It had this status.
    Existed {
        /// Its status.
        status: WebhookStatus,
        /// The types and groups that it subscribed to, if none covers the event's type; `None` if it subscribed.
        other_events: Option<Vec<String>>,
    },
    /// The event was sent to another webhook only, as a test.
    TestOfAnother,
}

/// The delivery of the event to the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFacts {
    /// Its status in the database.
    pub status: DeliveryStatus,
    /// The status that it is about to get, because the webhook stopped receiving since.
    pub closes_as: Option<DeliveryStatus>,
    /// Whether the webhook changed its status at most once since, so that an ended delivery ended by the present status.
    pub closed_by_present_status: bool,
    /// Number of attempts.
    pub attempts: i32,
    /// When the last attempt started.
    pub last_attempt_at: Option<Timestamp>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
    /// The error of the last attempt.
    pub last_error: Option<String>,
    /// Since when its first attempt is due: when the event was received, or a redelivery was requested.
    pub queued_at: Timestamp,
}

/// All facts about an event at one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookFacts {
    /// The webhook when the event was matched.
    pub then: WebhookThen,
    /// Whether the event tells exactly what it was matched against, which an earlier version of the router did not store.
    pub is_exact: bool,
    /// When the webhook was created.
    pub created: Timestamp,
    /// Its status now.
    pub status: WebhookStatus,
    /// Why it is disabled now, if it is.
    pub disabled_reason: Option<DisabledReason>,
    /// Whether it subscribes to the event's type now.
    pub subscribes_now: bool,
    /// The delivery, if there is one.
    pub delivery: Option<DeliveryFacts>,
    /// The queue in front of the delivery, if it is pending.
    pub queue: Option<QueueFacts>,
}

/// The result of an event at one webhook, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The result.
    pub result: LookupResult,
    /// The reason, as a sentence or two.
    pub detail: String,
    /// Since when the delivery is queued.
    pub since: Option<Timestamp>,
    /// Number of deliveries in front of it, as far as they were counted.
    pub ahead: Option<i64>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
}

/// Explains what became of an event of the type `event_type` at one webhook.
#[must_use]
pub fn explain_webhook(facts: &WebhookFacts, event_type: &str, now: Timestamp) -> Explanation {
    match &facts.delivery {
        Some(delivery) => explain_delivery(facts, delivery, now),
        None => explain_absence(facts, event_type, now),
    }
}

impl DeliveryFacts {
    /// Whether the delivery is due and nothing ends it before its next attempt.
    #[must_use]
    pub fn is_queued(&self, now: Timestamp) -> bool {
        self.status == DeliveryStatus::Pending
            && self.closes_as.is_none()
            && self.next_attempt_at.is_none_or(|at| at <= now)
    }

    /// Since when it is due.
    fn due_since(&self) -> Timestamp {
        self.next_attempt_at.unwrap_or(self.queued_at)
    }
}

fn ended(result: LookupResult, detail: String) -> Explanation {
    Explanation { result, detail, since: None, ahead: None, next_attempt_at: None }
}

fn explain_delivery(facts: &WebhookFacts, delivery: &DeliveryFacts, now: Timestamp) -> Explanation {
    match delivery.closes_as.unwrap_or(delivery.status) {
        DeliveryStatus::Delivered => {
            let at = delivery.last_attempt_at.map(|at| format!(" at {}", format_instant(at, now)));
            let attempts = count_attempts(delivery.attempts);
            ended(LookupResult::Delivered, format!("Delivered{} after {attempts}.", at.unwrap_or_default()))
        }
        DeliveryStatus::Failed => {
            let attempts = count_attempts(delivery.attempts);
            let error = last_error(delivery);
            ended(LookupResult::Failed, format!("Failed after {attempts}{error}. It can be redelivered."))
        }
        DeliveryStatus::Held => ended(LookupResult::Held, explain_held(facts, delivery)),
        DeliveryStatus::Discarded => {
            let detail =
                "Discarded, because the brand paused or deleted the webhook while the event waited for it.";
            ended(LookupResult::Discarded, detail.to_owned())
        }
        DeliveryStatus::Pending => explain_pending(facts, delivery, now),
    }
}

fn explain_held(facts: &WebhookFacts, delivery: &DeliveryFacts) -> String {
    // The reason is known only of the present disabling; an earlier one may have held the delivery.
    let is_cause = facts.status == WebhookStatus::Disabled && delivery.closed_by_present_status;
    let who = match facts.disabled_reason.filter(|_| is_cause) {
        Some(DisabledReason::Support) => "support disabled the webhook",
        Some(DisabledReason::Gone) => "the platform disabled the webhook, whose endpoint answered 410 (Gone)",
        Some(DisabledReason::Failing | DisabledReason::Unresponsive) => {
            "the platform disabled the webhook, whose endpoint failed too often"
        }
        None => "the webhook was disabled at the time",
    };
    let next = match facts.status {
        WebhookStatus::Active => "The webhook is active again; redeliver the event",
        WebhookStatus::Paused => "The webhook is paused now; after it is enabled, redeliver the event",
        WebhookStatus::Disabled => "Support enables the webhook, after which it can be redelivered",
        WebhookStatus::Deleted => {
            "The webhook was deleted since, so that the event cannot be redelivered to it"
        }
    };
    format!("Held, because {who}. {next}.")
}

fn explain_pending(facts: &WebhookFacts, delivery: &DeliveryFacts, now: Timestamp) -> Explanation {
    if let Some(next) = delivery.next_attempt_at.filter(|at| *at > now) {
        let attempts = count_attempts(delivery.attempts);
        let error = last_error(delivery);
        let detail = format!(
            "Failed after {attempts} so far{error}. The next one is due at {}.",
            format_instant(next, now)
        );
        let retrying = ended(LookupResult::Retrying, detail);
        return Explanation { next_attempt_at: Some(next), ..retrying };
    }
    let since = delivery.due_since();
    let detail = match &facts.queue {
        Some(queue) => explain_queue(queue, since, now),
        None => format!("Queued since {}.", format_instant(since, now)),
    };
    Explanation {
        since: Some(since),
        ahead: facts.queue.map(|queue| queue.ahead),
        ..ended(LookupResult::Queued, detail)
    }
}

fn explain_absence(facts: &WebhookFacts, event_type: &str, now: Timestamp) -> Explanation {
    let (result, mut detail) = match &facts.then {
        WebhookThen::TestOfAnother => (
            LookupResult::NotSubscribed,
            "A test event goes to one webhook only, and this was another.".to_owned(),
        ),
        WebhookThen::NotCreated => {
            let created = format_instant(facts.created, now);
            (
                LookupResult::CreatedLater,
                format!("The webhook was created at {created}, after the event was routed."),
            )
        }
        WebhookThen::Existed { other_events: Some(others), .. } => {
            (LookupResult::NotSubscribed, explain_other_events(facts, others, event_type))
        }
        WebhookThen::Existed { status: WebhookStatus::Paused, .. } => {
            (LookupResult::Paused, explain_stopped(facts, "paused"))
        }
        WebhookThen::Existed { status: WebhookStatus::Disabled, .. } => {
            (LookupResult::Disabled, explain_stopped(facts, "disabled"))
        }
        WebhookThen::Existed { .. } => {
            let detail =
                format!("The webhook has no delivery of the event, although it subscribed to {event_type}.");
            (LookupResult::NotSubscribed, detail)
        }
    };
    if !facts.is_exact {
        detail.push_str(
            " An earlier version of the router handled the event, so that the reason is not certain.",
        );
    }
    ended(result, detail)
}

fn explain_other_events(facts: &WebhookFacts, others: &[String], event_type: &str) -> String {
    /// Subscriptions that a sentence names.
    const MAX_NAMED: usize = 5;
    let named = others.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match others.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let now = if facts.subscribes_now { " It subscribes to it now." } else { "" };
    format!("When the event was routed, the webhook subscribed to {named}{more}, not to {event_type}.{now}")
}

fn explain_stopped(facts: &WebhookFacts, then: &str) -> String {
    let now = match facts.status {
        WebhookStatus::Active => " It is active now; publish the event again with a new id to deliver it.",
        _ => "",
    };
    format!("The webhook was {then} when the event was routed, so nothing was recorded for it.{now}")
}

fn count_attempts(attempts: i32) -> String {
    if attempts == 1 { "1 attempt".to_owned() } else { format!("{attempts} attempts") }
}

fn last_error(delivery: &DeliveryFacts) -> String {
    let error = delivery.last_error.as_deref().map(|error| error.trim_end_matches('.'));
    error.map(|error| format!("; the last error: {error}")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
