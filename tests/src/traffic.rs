//! Careful producers under faults, which republish unconfirmed messages until they are confirmed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::event::Event;
use crate::ledger::{Kind, Ledger};
use crate::producer::Producer;

/// How long a producer waits before it reconnects.
const RECONNECT_DELAY: Duration = Duration::from_millis(200);
/// How long a producer keeps reconnecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(120);
/// Events that one producer has in flight.
const MAX_IN_FLIGHT: usize = 20;
/// Number of concurrent producers.
const PRODUCERS: usize = 4;

/// The target and the kinds of events.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// The broker.
    pub amqp_url: String,
    /// Prefix of its names in the broker.
    pub namespace: String,
    /// The published kinds, in turn.
    pub kinds: Vec<Kind>,
    /// The ledger that records the events.
    pub ledger: Arc<Ledger>,
}

/// Running producers; dropping it stops them at any point.
#[derive(Debug)]
pub struct RunningLoad {
    stop: watch::Sender<bool>,
    producers: JoinSet<()>,
}

impl RunningLoad {
    /// Lets the producers publish their remaining events, and waits until all are confirmed.
    ///
    /// # Panics
    /// When a producer has given up.
    pub async fn finish(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.producers.join_next().await {
            ended.expect("a producer");
        }
    }
}

impl Traffic {
    /// Publishes at this pace in the background, until told to stop and at least `events` are confirmed; the
    /// rest then follows without a pause.
    #[must_use]
    pub fn start(&self, events: usize, per_second: usize) -> RunningLoad {
        let stop = watch::Sender::new(false);
        let mut producers = JoinSet::new();
        let period = Duration::from_secs_f64((MAX_IN_FLIGHT * PRODUCERS) as f64 / per_second as f64);
        for number in 0..PRODUCERS {
            let traffic = self.clone();
            let stop = stop.subscribe();
            producers
                .spawn(async move { traffic.produce_events(number, events / PRODUCERS, period, stop).await });
        }
        RunningLoad { stop, producers }
    }

    async fn produce_events(
        &self,
        first: usize,
        events: usize,
        period: Duration,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut producer = None;
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Each producer begins at a different kind, and goes through all of them.
        let mut next = first * self.kinds.len() / PRODUCERS;
        let last = next + events;
        while next < last || !*stop.borrow() {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            let kinds = (next..next + MAX_IN_FLIGHT).map(|n| self.kinds[n % self.kinds.len()]);
            let drawn: Vec<Event> = kinds.map(|kind| self.ledger.draw_event(kind)).collect();
            self.publish_until_confirmed(&mut producer, drawn).await;
            next += MAX_IN_FLIGHT;
        }
    }

    /// Publishes one event of each of these kinds, and waits for the confirms.
    pub async fn publish(&self, kinds: &[Kind]) -> Vec<Event> {
        let drawn: Vec<Event> = kinds.iter().map(|kind| self.ledger.draw_event(*kind)).collect();
        self.publish_until_confirmed(&mut None, drawn.clone()).await;
        drawn
    }

    /// Publishes these events until all of them are confirmed.
    async fn publish_until_confirmed(&self, producer: &mut Option<Producer>, mut left: Vec<Event>) {
        while !left.is_empty() {
            let channel = match producer {
                Some(channel) => channel,
                None => producer.insert(self.connect_patiently().await),
            };
            let confirmed = join_all(left.iter().map(|event| channel.try_publish(event))).await;
            let mut again = Vec::new();
            for (event, confirmed) in left.into_iter().zip(confirmed) {
                match confirmed {
                    Ok(()) => self.ledger.confirm_event(&event),
                    Err(_) => again.push(event),
                }
            }
            left = again;
            if !left.is_empty() {
                *producer = None;
            }
        }
    }

    async fn connect_patiently(&self) -> Producer {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        loop {
            match Producer::connect(&self.amqp_url, &self.namespace).await {
                Ok(producer) => return producer,
                Err(error) => assert!(Instant::now() < deadline, "the broker stays unreachable: {error}"),
            }
            tokio::time::sleep(RECONNECT_DELAY).await;
        }
    }
}
