//! The backlogs of brands.
//!
//! All brands publish to one queue, in which an event waits behind those before it. So that it waits only for events of
//! its own brand, the router reads ahead. When there is no more room, the events of brands over their share are moved
//! into the backlog queue of their brand, many to a message ([`mover`]), which is faster than routing them. The backlog
//! queues are drained as the brands get their turns ([`drainer`]). A queue that fails delays only its brand
//! ([`domain::backlog_access`]): its events are routed without being moved, and other queues are used meanwhile.
//!
//! An event is acknowledged in the shared queue only once RabbitMQ has confirmed it in the backlog. If the router dies in
//! between, the event is in both, and is stored once. The table `brand_backlogs` names every backlog queue, so that all
//! routers drain them.

mod drainer;
mod mover;
mod pull;
mod sweep;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::moved::{MovedEvent, encode_moved};
use broker::{BrokerError, Link, Outgoing, Publisher, Route, Topology};
use domain::backlog_access::{BacklogAccess, Failure};
use domain::ids::BrandId;
use store::Store;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::intake::BacklogFigures;
use crate::queues::routing::EventRouter;
use crate::read_ahead::ReadAhead;

pub(crate) use mover::MAX_MOVES;
use mover::MOVES;

/// Longest time until the confirm of moved events. They are routed without being moved after that.
const MOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Moves events into backlogs and back. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Backlogs {
    pub(crate) store: Store,
    pub(crate) topology: Topology,
    /// Publish moved events, each over a link of its own.
    pub(crate) publishers: [Publisher; MAX_MOVES],
    /// Publishes the parts of split messages, over a link of its own.
    pub(crate) splitter: Publisher,
    /// The link of the pullers.
    pub(crate) pulling: Link,
    pub(crate) read_ahead: ReadAhead,
    pub(crate) router: EventRouter,
    pub(crate) figures: BacklogFigures,
    pub(crate) stop: CancellationToken,
    pub(crate) shared: Arc<Shared>,
}

/// What mover and drainer tell each other.
pub(crate) struct Shared {
    /// The origin of the times in `state`.
    origin: Instant,
    state: Mutex<State>,
    /// Signals that events were moved.
    moved: Notify,
}

struct State {
    /// Brands whose queue this process has declared.
    declared: HashSet<BrandId>,
    /// The moves that run, and the brands whose events could not be moved.
    moves: BacklogAccess<BrandId>,
    /// Brands that events were moved of since the drainer looked.
    moved: HashSet<BrandId>,
}

impl Backlogs {
    /// Publishes messages to the backlog queue of a brand.
    async fn publish(
        &self,
        publisher: &Publisher,
        brand_id: &BrandId,
        messages: &[Vec<MovedEvent>],
    ) -> Result<(), BrokerError> {
        // Not the default exchange, for which an account with the permissions of the namespace has none.
        let exchange = self.topology.names().backlog_exchange();
        let route = Route { exchange: &exchange, key: brand_id.as_str() };
        let messages: Vec<_> = messages.iter().map(|events| Outgoing::new(encode_moved(events))).collect();
        let messages: Vec<_> = messages.iter().map(|message| (route, message)).collect();
        let published = publisher.publish_all_mandatory_within(MOVE_TIMEOUT, &messages).await;
        if published.is_ok() {
            self.shared.lock().moved.insert(brand_id.clone());
            self.shared.moved.notify_one();
        }
        published
    }

    /// Closes the links.
    pub(crate) async fn close(&self) {
        self.pulling.close().await;
        for publisher in self.publishers.iter().chain([&self.splitter]) {
            publisher.close().await;
        }
    }
}

impl Default for Shared {
    fn default() -> Self {
        let state =
            State { declared: HashSet::new(), moves: BacklogAccess::new(MOVES), moved: HashSet::new() };
        Self { origin: Instant::now(), state: Mutex::new(state), moved: Notify::new() }
    }
}

impl Shared {
    /// Returns the time since the origin.
    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how an operation on the queue of a brand failed.
fn failure_of(error: &BrokerError) -> Failure {
    if error.is_silence() { Failure::Silent } else { Failure::Refused }
}
