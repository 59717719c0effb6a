//! Makes a webhook's queue anew when the broker has lost it.
//!
//! After kill -9 a quorum queue of RabbitMQ 3.10 on a single node was seen to stay without a leader for
//! good (a race at boot, rabbitmq-server issue 10070): it takes subscriptions and messages and answers
//! nothing. What was in it is known from the database, so it is deleted, made again, and filled again.

use std::time::Duration;

use broker::wire::{self, Progress};
use broker::{Outgoing, Route};
use chrono::{TimeDelta, Utc};
use domain::ids::WebhookId;
use domain::outcome::Trigger;
use domain::request::EventHead;
use store::stranded::{self, Stranded};
use tracing::warn;

use crate::worker::Shared;

/// A queue that answers nothing for this long, while the broker answers, is lost.
pub(crate) const SILENT_FOR: Duration = Duration::from_secs(20);
/// Bound for the proof that the broker answers.
const PROBE: Duration = Duration::from_secs(5);
/// What is due for less long may still be on its way through the broker.
const DUE_FOR: TimeDelta = TimeDelta::seconds(5);

/// Whether the broker stores messages in other queues of the same kind: only then is a silent one
/// lost. The probe names no webhook, so its consumer drops it.
pub(crate) async fn broker_stores(shared: &Shared) -> bool {
    let exchange = shared.handler.names.unrouted();
    let route = Route { exchange: &exchange, key: "probe" };
    shared.handler.publisher.publish_within(PROBE, route, &Outgoing::default()).await.is_ok()
}

/// Deletes the queue, makes it again, and queues what is pending and due. It may be stopped
/// anywhere: the queue is then silent again or whole; what is queued twice is attempted once.
pub(crate) async fn make_anew(
    shared: &Shared,
    webhook: WebhookId,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    warn!(%webhook, "the broker has lost the queue of this webhook; making it anew");
    shared.topology.delete_webhook(webhook).await?;
    shared.topology.declare_webhook(webhook).await?;
    let due_before = Utc::now() - DUE_FOR;
    let (mut after, mut queued) = (None, 0);
    loop {
        let page = stranded::page(&shared.handler.store, webhook, due_before, after).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.created, last.event));
        queued += page.len();
        for delivery in &page {
            queue(shared, webhook, delivery).await;
        }
    }
    warn!(%webhook, queued, "the queue of this webhook was made anew");
    Ok(())
}

async fn queue(shared: &Shared, webhook: WebhookId, delivery: &Stranded) {
    let done = delivery.attempts - delivery.round_base;
    let progress = Progress {
        round: delivery.round,
        recorded: delivery.attempts,
        attempt: u32::try_from(done + 1).unwrap_or(1),
        // Not fresh: the database is asked before the attempt, whatever else is on its way.
        trigger: if done == 0 { Trigger::Redeliver } else { Trigger::Retry },
        first_started: delivery.first_attempt_at,
        not_before: delivery.next_attempt_at,
        ..Progress::fresh(delivery.generation)
    };
    let head = EventHead {
        id: delivery.event,
        brand_id: delivery.brand_id.clone(),
        created: delivery.created,
        event_type: delivery.event_type.clone(),
    };
    let message = Outgoing::new(wire::encode(&progress, &head, &delivery.data));
    let (exchange, key) = (shared.handler.names.deliveries(), webhook.to_string());
    shared
        .handler
        .publisher
        .publish_until_confirmed(Route { exchange: &exchange, key: &key }, &message)
        .await;
}
