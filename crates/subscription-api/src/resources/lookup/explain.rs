//! Gathers the facts about an event at each webhook of its brand.

use std::collections::HashMap;

use chrono::TimeDelta;
use domain::ids::WebhookId;
use domain::lookup::{
    DeliveryFacts, Disposition, Explanation, QueueFacts, WebhookFacts, WebhookThen, explain_webhook,
};
use domain::time::Timestamp;
use store::api::event_lookup::{self, EventDelivery, EventDetails, EventWebhook, QueueState};
use store::instances;
use store::{Store, StoreError};

use super::subscribes;

/// Most deliveries that are read to count those in front of an event, over all webhooks,
const MAX_COUNTED: usize = 10_000;
/// and at least for each webhook.
const MIN_COUNTED_PER_WEBHOOK: usize = 100;
/// Attempts of this time say whether an endpoint answers.
const RECENT: TimeDelta = TimeDelta::minutes(5);

/// A webhook with what became of an event there.
pub(super) struct ExplainedWebhook {
    pub(super) webhook: EventWebhook,
    pub(super) explanation: Explanation,
}

/// Explains what became of an event at each webhook of its brand.
///
/// An event that was dropped or rejected was matched with none, and an event whose type is not known cannot be explained.
pub(super) async fn explain_event_at_webhooks(
    store: &Store,
    details: &EventDetails,
    with_deleted: bool,
    now: Timestamp,
) -> Result<Vec<ExplainedWebhook>, StoreError> {
    let is_unmatched = matches!(details.event.disposition, Disposition::NotEnabled | Disposition::Rejected);
    let Some(event_type) = details.event.event_type.as_deref().filter(|_| !is_unmatched) else {
        return Ok(Vec::new());
    };
    let webhooks = event_lookup::list_event_webhooks(store, details, with_deleted).await?;
    let mut facts: Vec<WebhookFacts> =
        webhooks.iter().map(|webhook| gather_facts(webhook, details, event_type)).collect();
    add_queues(store, details, &webhooks, &mut facts, now).await?;
    let explained = webhooks.into_iter().zip(&facts).map(|(webhook, facts)| {
        let explanation = explain_webhook(facts, event_type, now);
        ExplainedWebhook { webhook, explanation }
    });
    Ok(explained.collect())
}

fn gather_facts(webhook: &EventWebhook, details: &EventDetails, event_type: &str) -> WebhookFacts {
    WebhookFacts {
        then: webhook_then(webhook, details, event_type),
        // A test event is not matched.
        is_exact: details.routing_version.is_some() || details.event.test,
        created: webhook.created,
        status: webhook.status,
        disabled_reason: webhook.disabled_reason,
        subscribes_now: subscribes(&webhook.events, event_type),
        delivery: webhook.delivery.as_ref().map(|delivery| delivery_facts(delivery, details)),
        queue: None,
    }
}

fn webhook_then(webhook: &EventWebhook, details: &EventDetails, event_type: &str) -> WebhookThen {
    if details.event.test {
        return WebhookThen::TestOfAnother;
    }
    let Some(version) = &webhook.then else { return WebhookThen::NotCreated };
    let subscribed = subscribes(&version.events, event_type);
    let other_events = (!subscribed).then(|| version.events.iter().map(ToString::to_string).collect());
    WebhookThen::Existed { status: version.status, other_events }
}

fn delivery_facts(delivery: &EventDelivery, details: &EventDetails) -> DeliveryFacts {
    DeliveryFacts {
        status: delivery.status,
        closes_as: delivery.closes_as,
        closed_by_present_status: delivery.closed_by_present_status,
        attempts: delivery.attempts,
        last_attempt_at: delivery.last_attempt_at,
        next_attempt_at: delivery.next_attempt_at,
        last_error: delivery.last_error.clone(),
        queued_at: delivery.redelivery_queued_at.unwrap_or(details.event.received),
    }
}

/// Adds the queues in front of deliveries that are due.
async fn add_queues(
    store: &Store,
    details: &EventDetails,
    webhooks: &[EventWebhook],
    facts: &mut [WebhookFacts],
    now: Timestamp,
) -> Result<(), StoreError> {
    let is_queued =
        |facts: &WebhookFacts| facts.delivery.as_ref().is_some_and(|delivery| delivery.is_queued(now));
    let queued = webhooks.iter().zip(&*facts).filter(|(_, facts)| is_queued(facts));
    let queued: Vec<WebhookId> = queued.map(|(webhook, _)| webhook.id).collect();
    if queued.is_empty() {
        return Ok(());
    }
    let max_read = (MAX_COUNTED / queued.len()).max(MIN_COUNTED_PER_WEBHOOK);
    let max_read = i64::try_from(max_read).unwrap_or(i64::MAX);
    let event = (details.event.id, details.event.created);
    let states = event_lookup::measure_queues(store, &queued, event, max_read, now - RECENT).await?;
    let states: HashMap<WebhookId, QueueState> =
        states.into_iter().map(|state| (state.webhook, state)).collect();
    let deliverers = instances::list_alive(store, "deliverer").await?.len();
    for (webhook, facts) in webhooks.iter().zip(facts) {
        facts.queue = states.get(&webhook.id).map(|state| queue_facts(webhook, state, deliverers));
    }
    Ok(())
}

fn queue_facts(webhook: &EventWebhook, state: &QueueState, deliverers: usize) -> QueueFacts {
    QueueFacts {
        ahead: state.ahead,
        has_more: state.has_more,
        recent: state.recent,
        resting_until: state.resting_until,
        deliverers,
        max_concurrency: webhook.max_concurrency,
        rate_per_second: webhook.rate_per_second,
    }
}
