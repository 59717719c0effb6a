//! What RabbitMQ took out of the queues of events, on its way to the queue of refused messages: the reason is added
//! that support and producers look for.

use broker::{Death, Ending, Message, Outgoing, Route, Subscription};
use domain::event::{RejectReason, Rejection};
use runtime::error::Chain;
use runtime::retry::Backoff;
use tracing::{info, warn};

use crate::events;
use crate::handler::rejected;
use crate::intake::Intake;

/// Messages in hand: a message that kills the process takes few others along.
const PREFETCH: u16 = 5;
/// Attempts to pass a message on until it is given back, so that others get their turn.
const MAX_ATTEMPTS: u32 = 20;

/// Consumes the quarantine until the process stops.
pub(crate) async fn consume(intake: Intake, queue: String) {
    let mut backoff = Backoff::default();
    while !intake.stop.is_cancelled() {
        match subscribe(&intake, &queue).await {
            Ok(mut subscription) => {
                info!(queue, "taking quarantined messages");
                backoff = Backoff::default();
                drain(&intake, &mut subscription).await;
            }
            Err(error) => {
                warn!(queue, error = %Chain(&error), "cannot take quarantined messages; trying again")
            }
        }
        tokio::select! { () = intake.stop.cancelled() => {}, () = backoff.wait() => {} }
    }
}

async fn subscribe(intake: &Intake, queue: &str) -> Result<Subscription, broker::BrokerError> {
    let route = Route { exchange: queue, key: queue };
    intake.prober.check_consumable(&intake.topology, queue, route).await?;
    intake.consumers.subscribe(queue, PREFETCH).await
}

async fn drain(intake: &Intake, subscription: &mut Subscription) {
    loop {
        let message = tokio::select! {
            () = intake.stop.cancelled() => return subscription.end(Ending::Cancelled).await,
            message = subscription.next() => message,
        };
        let Some(message) = message else { return };
        let settled = tokio::select! {
            () = intake.stop.cancelled() => return,
            settled = settle(intake, &message) => settled,
        };
        if settled {
            message.ack();
        } else if let Err(error) = message.requeue().await {
            warn!(error = %Chain(&error), "a quarantined message could not be given back; it comes again");
        }
    }
}

/// Passes a message on. Whether that worked.
async fn settle(intake: &Intake, message: &Message) -> bool {
    if message.deaths.is_empty() && intake.is_probe(message) {
        return true;
    }
    let Some(refused) = refusal(intake, message).await else { return true };
    let mut backoff = Backoff::default();
    for _ in 0..MAX_ATTEMPTS {
        let Err(error) = intake.rejections.publish(&refused).await else { return true };
        events::step_failed("quarantine", &error);
        backoff.wait().await;
    }
    false
}

/// The message with the reason why it was refused; `None` when it turned out to be an event.
async fn refusal(intake: &Intake, message: &Message) -> Option<Outgoing> {
    let Some(death) = death_in_intake(intake, message) else {
        // A router refused it while the queue of refused messages took none, and said why.
        if let Some(rejection) = earlier_rejection(message) {
            return Some(rejected(message, &rejection));
        }
        let batch = std::slice::from_ref(message);
        return intake.handler.lock().await.handle(batch).await.remove(&message.tag());
    };
    let rejection = match message.unreadable {
        _ if death.reason == Death::EXPIRED => Rejection::new(
            RejectReason::Expired,
            "its expiration passed before a router took it; publish events without expiration",
        ),
        Some(unreadable) => Rejection::new(RejectReason::Unreadable, unreadable.to_string()),
        None => Rejection::new(
            RejectReason::Poison,
            "it was returned to its queue again and again without being handled: its consumer died of it",
        ),
    };
    Some(rejected(message, &rejection))
}

/// Why a router refused it before.
fn earlier_rejection(message: &Message) -> Option<Rejection> {
    let (word, detail) = message.refusal.as_ref()?;
    let reason: RejectReason = word.parse().ok()?;
    Some(Rejection::new(reason, detail))
}

/// Why the broker took it out of a queue of events.
fn death_in_intake<'a>(intake: &Intake, message: &'a Message) -> Option<&'a Death> {
    let names = intake.topology.names();
    let queues = [names.ingest(), names.ingest_spare()];
    message.deaths.iter().find(|death| queues.contains(&death.queue))
}
