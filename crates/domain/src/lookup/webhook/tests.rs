use chrono::TimeDelta;

use super::*;
use crate::lookup::RecentAttempts;
use crate::time::parse_timestamp;

fn now() -> Timestamp {
    parse_timestamp("2026-11-29T13:48:02Z").expect("valid")
}

fn ago(seconds: i64) -> Timestamp {
    now() - TimeDelta::seconds(seconds)
}

fn subscribed(status: WebhookStatus) -> WebhookThen {
    WebhookThen::Existed { status, other_events: None }
}

fn webhook() -> WebhookFacts {
    WebhookFacts {
        then: subscribed(WebhookStatus::Active),
        is_exact: true,
        created: ago(30),
        status: WebhookStatus::Active,
        disabled_reason: None,
        subscribes_now: true,
        delivery: None,
        queue: None,
    }
}

fn delivery(status: DeliveryStatus) -> DeliveryFacts {
    DeliveryFacts {
        status,
        closes_as: None,
        closed_by_present_status: true,
        attempts: 0,
        last_attempt_at: None,
        next_attempt_at: None,
        last_error: None,
        queued_at: ago(60),
    }
}

fn attempted(status: DeliveryStatus) -> DeliveryFacts {
    let last_error = (status != DeliveryStatus::Delivered).then(|| "HTTP status 500".to_owned());
    DeliveryFacts { attempts: 2, last_attempt_at: Some(ago(10)), last_error, ..delivery(status) }
}

fn explain(facts: &WebhookFacts) -> (LookupResult, String) {
    let explanation = explain_webhook(facts, "A.B", now());
    (explanation.result, explanation.detail)
}

fn explain_with(delivery: DeliveryFacts) -> (LookupResult, String) {
    explain(&WebhookFacts { delivery: Some(delivery), ..webhook() })
}

#[test]
fn a_delivery_that_ended_is_explained_by_its_end() {
    let (result, detail) = explain_with(attempted(DeliveryStatus::Delivered));
    assert_eq!(result, LookupResult::Delivered);
    assert_eq!(detail, "Delivered at 13:47:52 UTC after 2 attempts.");
    let (result, detail) = explain_with(attempted(DeliveryStatus::Failed));
    assert_eq!(result, LookupResult::Failed);
    assert_eq!(detail, "Failed after 2 attempts; the last error: HTTP status 500. It can be redelivered.");
    let (result, _) = explain_with(delivery(DeliveryStatus::Discarded));
    assert_eq!(result, LookupResult::Discarded);
}

#[test]
fn a_held_delivery_names_who_disabled_the_webhook_and_the_next_step() {
    let held = |status, disabled_reason| {
        let delivery = Some(delivery(DeliveryStatus::Held));
        explain(&WebhookFacts { status, disabled_reason, delivery, ..webhook() })
    };
    let (result, detail) = held(WebhookStatus::Disabled, Some(DisabledReason::Support));
    assert_eq!(result, LookupResult::Held);
    assert!(detail.contains("support disabled the webhook"), "{detail}");
    let (_, detail) = held(WebhookStatus::Disabled, Some(DisabledReason::Gone));
    assert!(detail.contains("410"), "{detail}");
    for (status, next) in [
        (WebhookStatus::Active, "active again; redeliver"),
        (WebhookStatus::Paused, "is paused now"),
        (WebhookStatus::Deleted, "was deleted since"),
    ] {
        let (_, detail) = held(status, None);
        assert!(detail.contains("was disabled at the time") && detail.contains(next), "{detail}");
    }
}

#[test]
fn the_present_reason_does_not_explain_an_earlier_disabling() {
    let delivery = DeliveryFacts { closed_by_present_status: false, ..delivery(DeliveryStatus::Held) };
    let (_, detail) = explain(&WebhookFacts {
        status: WebhookStatus::Disabled,
        disabled_reason: Some(DisabledReason::Support),
        delivery: Some(delivery),
        ..webhook()
    });
    assert!(detail.contains("was disabled at the time") && !detail.contains("support disabled"), "{detail}");
}

#[test]
fn a_pending_delivery_of_an_ended_generation_is_as_good_as_closed() {
    for (closes_as, expected) in
        [(DeliveryStatus::Held, LookupResult::Held), (DeliveryStatus::Discarded, LookupResult::Discarded)]
    {
        let closing = DeliveryFacts { closes_as: Some(closes_as), ..delivery(DeliveryStatus::Pending) };
        assert!(!closing.is_queued(now()));
        assert_eq!(explain_with(closing).0, expected);
    }
}

#[test]
fn a_retry_has_the_time_of_its_next_attempt() {
    let next = Some(now() + TimeDelta::seconds(20));
    let retrying = DeliveryFacts { next_attempt_at: next, ..attempted(DeliveryStatus::Pending) };
    assert!(!retrying.is_queued(now()));
    let facts = WebhookFacts { delivery: Some(retrying), ..webhook() };
    let explanation = explain_webhook(&facts, "A.B", now());
    assert_eq!(explanation.result, LookupResult::Retrying);
    assert_eq!(explanation.next_attempt_at, next);
    assert_eq!(
        explanation.detail,
        "Failed after 2 attempts so far; the last error: HTTP status 500. The next one is due at 13:48:22 UTC."
    );
}

#[test]
fn a_due_delivery_is_queued_since_it_was_due() {
    let queue = QueueFacts {
        ahead: 128,
        has_more: false,
        recent: RecentAttempts { timeouts: 10, ..RecentAttempts::default() },
        resting_until: None,
        deliverers: 1,
        max_concurrency: 10,
        rate_per_second: None,
    };
    let overdue = DeliveryFacts { next_attempt_at: Some(ago(5)), ..attempted(DeliveryStatus::Pending) };
    for (delivery, since) in [(delivery(DeliveryStatus::Pending), ago(60)), (overdue, ago(5))] {
        assert!(delivery.is_queued(now()));
        let facts = WebhookFacts { delivery: Some(delivery), queue: Some(queue), ..webhook() };
        let explanation = explain_webhook(&facts, "A.B", now());
        assert_eq!(explanation.result, LookupResult::Queued);
        assert_eq!((explanation.since, explanation.ahead), (Some(since), Some(128)));
        assert!(explanation.detail.contains("does not answer"), "{}", explanation.detail);
    }
}

#[test]
fn a_missing_delivery_is_explained_by_the_webhook_at_that_time() {
    let then = |then, status| explain(&WebhookFacts { then, status, ..webhook() });
    let (result, detail) = then(WebhookThen::NotCreated, WebhookStatus::Active);
    assert_eq!(result, LookupResult::CreatedLater);
    assert_eq!(detail, "The webhook was created at 13:47:32 UTC, after the event was routed.");

    let (result, detail) = then(subscribed(WebhookStatus::Paused), WebhookStatus::Paused);
    assert_eq!(result, LookupResult::Paused);
    assert!(!detail.contains("active now"), "{detail}");
    let (result, detail) = then(subscribed(WebhookStatus::Paused), WebhookStatus::Active);
    assert_eq!(result, LookupResult::Paused, "also when it is active now");
    assert!(detail.contains("It is active now"), "{detail}");
    assert_eq!(then(subscribed(WebhookStatus::Disabled), WebhookStatus::Active).0, LookupResult::Disabled);
    assert_eq!(then(WebhookThen::TestOfAnother, WebhookStatus::Active).0, LookupResult::NotSubscribed);
}

#[test]
fn a_subscription_to_other_types_goes_before_the_status() {
    let others = |number: usize| Some((0..number).map(|at| format!("X.N{at}")).collect());
    let then = WebhookThen::Existed { status: WebhookStatus::Paused, other_events: others(7) };
    let (result, detail) = explain(&WebhookFacts { then, subscribes_now: true, ..webhook() });
    assert_eq!(result, LookupResult::NotSubscribed);
    assert_eq!(
        detail,
        "When the event was routed, the webhook subscribed to X.N0, X.N1, X.N2, X.N3, X.N4 and 2 more, not to A.B. It \
         subscribes to it now."
    );
}

#[test]
fn a_reason_that_is_not_certain_says_so() {
    let (result, detail) = explain(&WebhookFacts { is_exact: false, ..webhook() });
    assert_eq!(result, LookupResult::NotSubscribed);
    assert!(detail.contains("not certain"), "{detail}");
}

#[test]
fn every_result_has_whole_sentences() {
    let statuses = DeliveryStatus::ALL.iter().map(|status| Some(delivery(*status)));
    for delivery in statuses.chain([None]) {
        for then in [WebhookThen::NotCreated, WebhookThen::TestOfAnother, subscribed(WebhookStatus::Paused)] {
            let (_, detail) = explain(&WebhookFacts { then, delivery: delivery.clone(), ..webhook() });
            assert!(detail.ends_with('.') && detail.starts_with(char::is_uppercase), "{detail}");
        }
    }
}
