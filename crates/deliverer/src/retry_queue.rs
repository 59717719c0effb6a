//! The way into the wait queues. Deliveries of one webhook that fail soon after each other, and wait equally
//! long, travel together: an endpoint that only fails would otherwise cost the broker many times what one
//! costs that works.
//!
//! A wait queue that stores nothing holds up nobody: what it would hold is pending in the database with the time of its
//! next attempt, and its webhook's owner attempts it from there (`redelivery.rs`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use broker::wire::{self, MOST_BYTES, MOST_DELIVERIES};
use broker::{BrokerError, GuardedPublisher, Hearing, Namespace, Outgoing, Route, Topology};
use domain::ids::WebhookId;
use domain::retry::WaitLadder;
use domain::time::Timestamp;
use futures_util::future::join_all;
use runtime::progress::Progress;
use store::clock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::telemetry;

/// How long a message waits for more deliveries at most. What is in it comes back that much later.
const LINGER: Duration = Duration::from_millis(50);
/// Of a shorter wait this is such a part.
const LINGER_SHARE: u32 = 20;

/// A wait queue that answers nothing for this long, while the broker answers, is lost.
const SILENT_FOR: Duration = Duration::from_secs(20);
/// One that refuses messages has no member that is up. It comes back with them, so it is made anew only when that takes
/// long.
const REFUSING_FOR: Duration = Duration::from_secs(120);
/// How often it is looked whether one is.
const HEAL_INTERVAL: Duration = Duration::from_secs(5);

/// Puts deliveries into wait queues. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Waits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    publisher: GuardedPublisher,
    names: Namespace,
    ladder: WaitLadder,
    progress: Progress,
    /// Messages that wait for more deliveries. Whoever puts one in waits until the broker has it, so there are
    /// no more of them than deliveries in hand.
    gathering: Mutex<HashMap<Key, mpsc::Sender<Waiting>>>,
}

/// Which deliveries go together: of which webhook, and how long they wait.
type Key = (WebhookId, Duration);

/// A delivery on its way into a wait queue.
#[derive(Debug)]
struct Waiting {
    body: Vec<u8>,
    /// Told when the broker has it, or when it is left to the database.
    confirm: oneshot::Sender<()>,
}

impl Waits {
    pub(crate) fn new(
        publisher: GuardedPublisher,
        names: Namespace,
        ladder: WaitLadder,
        progress: Progress,
    ) -> Self {
        Self(Arc::new(Inner { publisher, names, ladder, progress, gathering: Mutex::default() }))
    }

    /// Puts a delivery, as [`wire::encode`] wrote it, into the wait queue that fits best; it comes back by
    /// itself. Returns when the broker has it, or when that queue stores nothing. The database has to know already
    /// when the next attempt is due.
    pub(crate) async fn put(&self, webhook: WebhookId, body: Vec<u8>, until: Timestamp) {
        let remaining = (until - clock::now()).to_std().unwrap_or_default();
        let (confirm, confirmed) = oneshot::channel();
        self.add((webhook, self.0.ladder.step_for(remaining)), Waiting { body, confirm });
        if confirmed.await.is_err() {
            unreachable!("a message is published until it is confirmed");
        }
    }

    /// Makes wait queues anew that store nothing for long: their messages are in the database, too. Runs for good.
    pub(crate) async fn heal(self, topology: Topology) {
        let mut blocked_since = HashMap::new();
        loop {
            tokio::time::sleep(HEAL_INTERVAL).await;
            for delay in self.0.ladder.steps() {
                let lost_after = self.lost_after(*delay).await;
                let since = *blocked_since.entry(*delay).or_insert_with(Instant::now);
                match lost_after {
                    None => drop(blocked_since.remove(delay)),
                    Some(lost_after) if since.elapsed() >= lost_after => {
                        self.recreate(&topology, *delay).await
                    }
                    Some(_) => {}
                }
            }
            telemetry::blocked_wait_queues(self.0.publisher.blocked_queues());
        }
    }

    /// How long a wait queue may stay as it is until it counts as lost; `None` for one that stores messages.
    async fn lost_after(&self, delay: Duration) -> Option<Duration> {
        let exchange = self.0.names.wait(delay);
        if !self.0.publisher.is_blocked(&exchange) {
            return None;
        }
        match self.0.publisher.hear(Route { exchange: &exchange, key: "probe" }).await {
            Hearing::Silent(_) => Some(SILENT_FOR),
            Hearing::Refuses => Some(REFUSING_FOR),
            Hearing::Stores | Hearing::BrokerAway(_) => None,
        }
    }

    async fn recreate(&self, topology: &Topology, delay: Duration) {
        warn!(?delay, "the broker has lost a wait queue; making it anew");
        match topology.recreate_wait_queue(delay).await {
            Ok(()) => self.0.publisher.unblock(&self.0.names.wait(delay)),
            Err(error) => telemetry::step_failed("heal", &error),
        }
    }

    fn add(&self, key: Key, delivery: Waiting) {
        let mut gathering = self.0.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        let delivery = match gathering.get(&key) {
            Some(open) => match open.try_send(delivery) {
                Ok(()) => return,
                Err(full_or_closed) => full_or_closed.into_inner(),
            },
            None => delivery,
        };
        let (open, more) = mpsc::channel(MOST_DELIVERIES);
        gathering.insert(key, open);
        tokio::spawn(self.clone().gather(key, delivery, more));
    }

    async fn gather(self, key: Key, first: Waiting, mut more: mpsc::Receiver<Waiting>) {
        let until = Instant::now() + LINGER.min(key.1 / LINGER_SHARE);
        let (mut bytes, mut gathered) = (first.body.len(), vec![first]);
        while gathered.len() < MOST_DELIVERIES && bytes < MOST_BYTES {
            let Ok(Some(delivery)) = timeout_at(until, more.recv()).await else { break };
            bytes += delivery.body.len();
            gathered.push(delivery);
        }
        // The next one begins another; what was added up to here still goes with these.
        more.close();
        while let Some(delivery) = more.recv().await {
            gathered.push(delivery);
        }
        self.forget(key);
        join_all(packs(gathered).into_iter().map(|pack| self.publish(key, pack))).await;
    }

    fn forget(&self, key: Key) {
        let mut gathering = self.0.gathering.lock().unwrap_or_else(PoisonError::into_inner);
        if gathering.get(&key).is_some_and(mpsc::Sender::is_closed) {
            gathering.remove(&key);
        }
    }

    async fn publish(&self, (webhook, step): Key, pack: Vec<Waiting>) {
        let (exchange, key) = (self.0.names.wait(step), webhook.to_string());
        let (bodies, confirms): (Vec<_>, Vec<_>) = pack.into_iter().map(|w| (w.body, w.confirm)).unzip();
        let body = wire::join(bodies);
        let message = |_repeated| Outgoing::new(body.clone());
        let failed = |error: &BrokerError| telemetry::step_failed("wait", error);
        let route = Route { exchange: &exchange, key: &key };
        let in_hand = self.0.progress.begin();
        self.0.publisher.publish(&exchange, route, message, failed).await;
        in_hand.done();
        telemetry::blocked_wait_queues(self.0.publisher.blocked_queues());
        for confirm in confirms {
            // Who asked may have been stopped meanwhile.
            let _ = confirm.send(());
        }
    }
}

/// As many together as may be, in their order.
fn packs(deliveries: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let (mut packs, mut bytes) = (Vec::<Vec<Waiting>>::new(), 0);
    for delivery in deliveries {
        let size = delivery.body.len();
        match packs.last_mut() {
            Some(pack) if wire::is_room(pack.len(), bytes, size) => {
                bytes += size;
                pack.push(delivery);
            }
            _ => {
                bytes = size;
                packs.push(vec![delivery]);
            }
        }
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_are_packed_once_and_in_order_and_no_pack_is_too_large(
            sizes in prop::collection::vec(1usize..MOST_BYTES / 2, 0..20),
        ) {
            let waiting = |size: &usize| Waiting { body: vec![0; *size], confirm: oneshot::channel().0 };
            let packed = packs(sizes.iter().map(waiting).collect());
            let packed: Vec<Vec<usize>> =
                packed.iter().map(|pack| pack.iter().map(|w| w.body.len()).collect()).collect();
            prop_assert_eq!(packed.concat(), sizes);
            for pack in &packed {
                prop_assert!(pack.len() <= MOST_DELIVERIES);
                prop_assert!(pack.len() == 1 || pack.iter().sum::<usize>() <= MOST_BYTES);
            }
            for pair in packed.windows(2) {
                let full = pair[0].len() == MOST_DELIVERIES;
                prop_assert!(full || pair[0].iter().sum::<usize>() + pair[1][0] > MOST_BYTES);
            }
        }
    }
}
