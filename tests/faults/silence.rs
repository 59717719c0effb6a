//! Queues that fall silent, as RabbitMQ 3.10 loses them: they take messages, and neither confirm nor hand out any.

use std::time::Duration;

use e2e::ledger::{Kind, Place};
use e2e::poison;
use e2e::rabbit::{INGEST_QUEUE, REJECTED_QUEUE};
use tokio::time::{Instant, sleep, sleep_until};

use crate::fault::Meanwhile;
use crate::poisoning::send_all;
use crate::world::World;

/// How long a queue is silent.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// Deliveries that have nothing to do with the silent queue flow within this.
const HELD_UP: Duration = Duration::from_secs(25);
/// They flow within this when the queue is that of the routers, because another has to take over.
const TAKEN_OVER: Duration = Duration::from_secs(40);
/// How often it is looked whether deliveries flow.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Events beside a silent wait queue: one in thirteen fails at first, so that more of them have to wait than a
/// webhook may have in hand.
const WAITING: usize = 1_000;
/// Messages to be refused beside a silent queue of refused ones.
const REFUSED: usize = 5;
/// The webhook whose queue is silent or whose retries wait, and the kind of its events.
const LOST: (Place, Kind) = (1, 1);

/// A queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// A webhook's.
    Webhook,
    /// That of the first retry.
    Wait,
    /// That of refused messages.
    Rejected,
    /// That of deliveries whose webhook has no queue; and a webhook's, because the one is asked when the other
    /// does not answer.
    Unrouted,
    /// That of the routers.
    Ingest,
}

impl Queue {
    /// Silences the queue, has something to do for it, looks whether deliveries flow all the same, and wakes it.
    pub(crate) async fn fall_silent(self, world: &mut World) -> Meanwhile {
        let silenced = Instant::now();
        let names = self.names(world);
        for name in &names {
            world.broker.silence(name).await;
        }
        match self {
            Self::Wait => {
                let _ = world.burst(LOST.1, WAITING).await;
            }
            Self::Rejected => {
                let brand = world.brands[0].id.clone();
                let bodies = poison::bodies(&brand, "NOTIFICATION.FAULT.T0");
                send_all(world, bodies.into_iter().take(REFUSED).collect()).await;
            }
            Self::Webhook | Self::Unrouted | Self::Ingest => {}
        }
        let (limit, but) = match self {
            Self::Webhook | Self::Unrouted => (HELD_UP, Some(LOST.0)),
            Self::Wait | Self::Rejected => (HELD_UP, None),
            Self::Ingest => (TAKEN_OVER, None),
        };
        let took = flows_until(world, silenced + SILENT_FOR, limit, but).await;
        sleep_until(silenced + SILENT_FOR).await;
        for name in &names {
            world.broker.wake(name).await;
        }
        Meanwhile { took, limit }
    }

    fn names(self, world: &World) -> Vec<String> {
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

/// Looks again and again until then whether deliveries flow, because the first to find a queue silent may be the
/// last to be let go. How long the slowest took.
async fn flows_until(world: &World, end: Instant, limit: Duration, but: Option<Place>) -> Option<Duration> {
    let mut slowest = Duration::ZERO;
    while Instant::now() < end {
        let (took, _) = world.flows_within(limit, but).await?;
        slowest = slowest.max(took);
        sleep(LOOK_INTERVAL).await;
    }
    Some(slowest)
}
