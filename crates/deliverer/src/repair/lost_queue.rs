//! Makes a webhook's queue anew when the broker has lost it.
//!
//! After kill -9 a quorum queue of RabbitMQ 3.10 on a single node was seen to stay without a leader for
//! good (a race at boot, rabbitmq-server issue 10070): it takes subscriptions and messages and answers
//! nothing. What was in it is known from the database, so it is deleted, made again, and filled again.
//!
//! A subscription to such a queue blocks its channel, with every consumer on it, until the broker
//! closes the connection. So a queue is probed before it is subscribed to, by a message that it only
//! has to confirm; and one under a subscription is probed when what is due does not come.
//!
//! A queue that answers and is empty, while something is long due, lost it on the way: whoever made the queue
//! anew died before it was filled, or the broker's state is gone or older than the database's, which was restored
//! from a backup. It is filled again, too.
//!
//! A queue none of whose members is up refuses messages at once. It comes back with them, so it is made anew only when
//! that takes long. One that refuses messages because of its length is left alone. Until then its deliveries are
//! attempted from the database (`redelivery.rs`).

use std::time::{Duration, Instant};

use broker::wire::{self, DeliveryMessage, Progress};
use broker::{Hearing, Outgoing, Route, prober};
use chrono::TimeDelta;
use domain::ids::WebhookId;
use domain::outcome::Trigger;
use domain::request::EventHead;
use domain::time::Timestamp;
use futures_util::future::join_all;
use runtime::retry::Backoff;
use store::StoreError;
use store::clock;
use store::stranded::{self, Stranded};
use tracing::warn;

use crate::consumer::worker::Shared;
use crate::telemetry;

/// A queue that answers nothing for this long, while the broker answers, is lost.
const SILENT_FOR: Duration = Duration::from_secs(20);
const _: () = assert!(SILENT_FOR.as_secs() >= 4 * prober::PROBE_TIMEOUT.as_secs());
/// A queue that has no member that is up for this long is made anew from those nodes that are up.
const MEMBERLESS_FOR: Duration = Duration::from_secs(120);
/// How often such a queue is probed: it answers at once.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// What is due for less long may still be on its way through the broker.
const DUE_FOR: TimeDelta = TimeDelta::seconds(5);
/// What is due for so long has no message any more, when the queue is empty and its consumer has nothing to do.
const LOST_FOR: TimeDelta = TimeDelta::seconds(60);

/// Whether a webhook's queue stores messages.
pub(crate) async fn hear(shared: &Shared, webhook: WebhookId) -> Hearing {
    let (exchange, key) = (shared.handler.names.deliveries(), webhook.to_string());
    shared.prober.hear(Route { exchange: &exchange, key: &key }).await
}

/// Makes a webhook's queue anew when it stays silent or without a member, and fills it again when what is long due is
/// not in it.
///
/// # Errors
/// When it is lost and could not be made anew to the end: it is then examined again.
pub(crate) async fn examine(
    shared: &Shared,
    webhook: WebhookId,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let queue = shared.handler.names.webhook(webhook);
    let began = Instant::now();
    loop {
        let lost_after = match hear(shared, webhook).await {
            Hearing::Silent(_) => SILENT_FOR,
            Hearing::Refuses if shared.topology.depth(&queue).await? == Some(0) => {
                tokio::time::sleep(PROBE_INTERVAL).await;
                MEMBERLESS_FOR
            }
            Hearing::Stores | Hearing::Refuses | Hearing::BrokerAway(_) => break,
        };
        if began.elapsed() >= lost_after {
            return make_anew(shared, webhook).await;
        }
    }
    if shared.topology.depth(&queue).await? == Some(0) {
        let queued = fill(shared, webhook, clock::now() - LOST_FOR).await?;
        if queued > 0 {
            warn!(%webhook, queued, "what is long due was in no queue; it is again");
        }
    }
    Ok(())
}

/// Deletes the queue, makes it again, and queues what is pending and due. It may be stopped
/// anywhere: the queue is then silent again or whole; what is queued twice is attempted once.
async fn make_anew(
    shared: &Shared,
    webhook: WebhookId,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    warn!(%webhook, "the broker has lost the queue of this webhook; making it anew");
    shared.topology.delete_webhook(webhook).await?;
    shared.topology.declare_webhook_again(webhook).await?;
    let queued = fill(shared, webhook, clock::now() - DUE_FOR).await?;
    warn!(%webhook, queued, "the queue of this webhook was made anew");
    Ok(())
}

/// Queues what is pending and due since before. How much that was.
async fn fill(shared: &Shared, webhook: WebhookId, due_before: Timestamp) -> Result<usize, StoreError> {
    let (mut after, mut queued) = (None, 0);
    loop {
        let page = stranded::page(&shared.handler.store, webhook, due_before, after).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.created, last.event));
        queued += page.len();
        join_all(page.into_iter().map(|delivery| queue(shared, webhook, delivery))).await;
    }
    Ok(queued)
}

async fn queue(shared: &Shared, webhook: WebhookId, delivery: Stranded) {
    let DeliveryMessage { progress, head, data } = message(delivery);
    let message = Outgoing::new(wire::encode(&progress, &head, &data));
    let (exchange, key) = (shared.handler.names.deliveries(), webhook.to_string());
    let route = Route { exchange: &exchange, key: &key };
    let mut backoff = Backoff::default();
    while let Err(error) = shared.mender.publish_within(prober::PROBE_TIMEOUT, route, &message).await {
        telemetry::step_failed("requeue", &error);
        backoff.wait().await;
    }
}

/// The message of a delivery's next attempt, as the database knows it.
pub(crate) fn message(delivery: Stranded) -> DeliveryMessage {
    let done = delivery.attempts - delivery.round_base;
    let progress = Progress {
        round: delivery.round,
        recorded: delivery.attempts,
        attempt: u32::try_from(done + 1).unwrap_or(1),
        trigger: if done == 0 { Trigger::Fresh } else { Trigger::Retry },
        // The database is asked before the attempt, whatever else is on its way.
        repeated: true,
        first_started: delivery.first_attempt_at,
        not_before: delivery.next_attempt_at,
        ..Progress::fresh(delivery.generation)
    };
    let head = EventHead {
        id: delivery.event,
        brand_id: delivery.brand_id,
        created: delivery.created,
        event_type: delivery.event_type,
    };
    DeliveryMessage { progress, head, data: delivery.data.into() }
}
