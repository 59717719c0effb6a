//! Queues that fall silent, as RabbitMQ 3.10 loses them. They accept messages, and neither confirm nor
//! deliver any.

use std::time::Duration;

use e2e::ledger::{Kind, Place};
use e2e::poison;
use e2e::rabbit::{INGEST_QUEUE, REJECTED_QUEUE};
use tokio::time::{Instant, sleep, sleep_until};

use crate::poisoning::send_all;
use crate::progress::Progress;
use crate::world::World;

/// How long a queue is silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How soon deliveries that have nothing to do with the silent queue have to flow.
const MAX_DELAY: Duration = Duration::from_secs(25);
/// The same for the routers' queue, because another queue has to take over.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(40);
/// Interval of the checks whether deliveries flow.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Events beside a silent delay queue. One in thirteen fails at first, so that more of them have to wait than
/// a webhook may have in hand.
const DELAYED_EVENTS: usize = 1_000;
/// Messages to be rejected beside a silent queue of rejected messages.
const REJECTED_MESSAGES: usize = 5;
/// The webhook whose queue is silent or whose retries are delayed, and the kind of its events.
const LOST: (Place, Kind) = (1, 1);

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// A webhook's queue.
    Webhook,
    /// The delay queue of the first retry.
    Wait,
    /// The queue of rejected messages.
    Rejected,
    /// The queue of deliveries whose webhook has no queue, together with a webhook's, because the former is
    /// used when the latter does not answer.
    Unrouted,
    /// The routers' queue.
    Ingest,
}

impl Queue {
    /// Silences the queue, gives it work, checks whether deliveries flow all the same, and wakes it.
    pub(crate) async fn run_silenced(self, world: &mut World) -> Progress {
        let silenced = Instant::now();
        let names = self.queue_names(world);
        for name in &names {
            world.broker.silence_queue(name).await;
        }
        match self {
            Self::Wait => {
                let _ = world.publish_burst(LOST.1, DELAYED_EVENTS).await;
            }
            Self::Rejected => {
                let brand = world.brands[0].id.clone();
                let bodies = poison::body_messages(&brand, "NOTIFICATION.FAULT.T0");
                send_all(world, bodies.into_iter().take(REJECTED_MESSAGES).collect()).await;
            }
            Self::Webhook | Self::Unrouted | Self::Ingest => {}
        }
        let (limit, but) = match self {
            Self::Webhook | Self::Unrouted => (MAX_DELAY, Some(LOST.0)),
            Self::Wait | Self::Rejected => (MAX_DELAY, None),
            Self::Ingest => (TAKEOVER_TIMEOUT, None),
        };
        let took = flows_until(world, silenced + SILENCE, limit, but).await;
        sleep_until(silenced + SILENCE).await;
        for name in &names {
            world.broker.wake_queue(name).await;
        }
        Progress { took, limit }
    }

    fn queue_names(self, world: &World) -> Vec<String> {
        let webhook = || format!("webhook.{}", world.ledger.subscribers()[LOST.0].webhook.id);
        let names = match self {
            Self::Webhook => vec![webhook()],
            Self::Wait => vec!["wait.1s".to_owned()],
            Self::Rejected => vec![REJECTED_QUEUE.to_owned()],
            Self::Unrouted => vec!["unrouted".to_owned(), webhook()],
            Self::Ingest => vec![INGEST_QUEUE.to_owned()],
        };
        names.into_iter().map(|name| format!("{}.{name}", world.platform.namespace)).collect()
    }
}

/// Checks until then whether deliveries flow, because the replica that finds a queue silent first may be the
/// last to recover. Returns the duration of the slowest.
async fn flows_until(world: &World, end: Instant, limit: Duration, but: Option<Place>) -> Option<Duration> {
    let mut slowest = Duration::ZERO;
    while Instant::now() < end {
        let (took, _) = world.flows_within(limit, but).await?;
        slowest = slowest.max(took);
        sleep(LOOK_INTERVAL).await;
    }
    Some(slowest)
}
