//! The backlogs of brands.
//!
//! All brands publish to one queue, in which an event waits behind those before it. So that it waits only for events of
//! its own brand, the router reads ahead. When there is no more room, the events of brands over their share are moved
//! into the backlog queue of their brand, many to a message ([`mover`]), which is faster than routing them. The backlog
//! queues are drained as the brands get their turns ([`drainer`]).
//!
//! An event is acknowledged in the shared queue only once RabbitMQ has confirmed it in the backlog. If the router dies in
//! between, the event is in both, and is stored once. The table `brand_backlogs` names every backlog queue, so that all
//! routers drain them.

mod drainer;
mod mover;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::moved::{MovedEvent, encode_moved};
use broker::{BrokerError, Link, Outgoing, Publisher, Route, Topology};
use domain::ids::BrandId;
use store::Store;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::intake::BacklogFigures;
use crate::queues::routing::EventRouter;
use crate::read_ahead::ReadAhead;

/// Longest time until the confirm of moved events. They are routed without being moved after that.
const MOVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Moves events into backlogs and back. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Backlogs {
    pub(crate) store: Store,
    pub(crate) topology: Topology,
    /// Publishes moved events, over a link of its own.
    pub(crate) publisher: Publisher,
    /// The link of the pullers.
    pub(crate) pulling: Link,
    pub(crate) read_ahead: ReadAhead,
    pub(crate) router: EventRouter,
    pub(crate) figures: BacklogFigures,
    pub(crate) stop: CancellationToken,
    pub(crate) shared: Arc<Shared>,
}

/// What mover and drainer tell each other.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Signals that events were moved.
    moved: Notify,
}

#[derive(Default)]
struct State {
    /// Brands whose queue this process has declared.
    declared: HashSet<BrandId>,
    /// Brands whose events are not moved until then, because moving failed.
    unmovable: HashMap<BrandId, Instant>,
    /// Brands that events were moved of since the drainer looked.
    moved: HashSet<BrandId>,
}

impl Backlogs {
    /// Publishes messages to the backlog queue of a brand.
    async fn publish(&self, brand_id: &BrandId, messages: &[Vec<MovedEvent>]) -> Result<(), BrokerError> {
        // Not the default exchange, for which an account with the permissions of the namespace has none.
        let exchange = self.topology.names().backlog_exchange();
        let route = Route { exchange: &exchange, key: brand_id.as_str() };
        let messages: Vec<_> = messages.iter().map(|events| Outgoing::new(encode_moved(events))).collect();
        let messages: Vec<_> = messages.iter().map(|message| (route, message)).collect();
        let published = self.publisher.publish_all_mandatory_within(MOVE_TIMEOUT, &messages).await;
        if published.is_ok() {
            self.shared.lock().moved.insert(brand_id.clone());
            self.shared.moved.notify_one();
        }
        published
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
