//! The oracle: a confirmed event is owed. After the faults every owed event must have arrived or be visible
//! as not delivered, and no event may be invented.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::brand::{Brand, Webhook};
use crate::event::Event;
use crate::platform::Platform;
use crate::producer::Producer;
use crate::receiver::Endpoint;

/// How long a producer waits before it reconnects.
const RECONNECT_DELAY: Duration = Duration::from_millis(200);
/// Maximum number of attempts to connect.
const MAX_CONNECTS: usize = 600;

/// A careful producer, with the ids of its events.
#[derive(Debug)]
pub struct Oracle {
    amqp_url: String,
    namespace: String,
    /// Ids with a confirmed publish.
    pub owed: BTreeSet<String>,
    /// All published ids, confirmed or not.
    pub sent: BTreeSet<String>,
}

impl Oracle {
    /// Creates a producer for this platform that has published nothing yet.
    #[must_use]
    pub fn new(platform: &Platform) -> Self {
        let amqp_url = platform.amqp_url().to_owned();
        let namespace = platform.namespace.clone();
        Self { amqp_url, namespace, owed: BTreeSet::new(), sent: BTreeSet::new() }
    }

    /// Publishes events one after the other at this interval. It republishes an unconfirmed event over a new
    /// connection until it is confirmed.
    ///
    /// # Panics
    /// When the broker stays unreachable.
    pub async fn publish(&mut self, events: &[Event], interval: Duration) {
        let mut producer = connect_patiently(&self.amqp_url, &self.namespace).await;
        for event in events {
            self.sent.insert(event.id().to_owned());
            while let Err(error) = producer.try_publish(event).await {
                eprintln!("{}: {error}; reconnecting", event.id());
                producer = connect_patiently(&self.amqp_url, &self.namespace).await;
            }
            self.owed.insert(event.id().to_owned());
            tokio::time::sleep(interval).await;
        }
    }

    /// Waits until every owed event has arrived at the endpoint, and Get Events lists exactly the owed events,
    /// all as delivered.
    ///
    /// # Panics
    /// When they do not in time, or an event has arrived that was never published.
    pub async fn wait_delivered(
        &self,
        brand: &Brand,
        endpoint: &Endpoint,
        webhook: &Webhook,
        timeout: Duration,
    ) {
        self.wait_arrived(endpoint, timeout).await;
        brand.wait_listed(webhook, "status=delivered", &self.owed, timeout).await;
        brand.wait_listed(webhook, "", &self.owed, timeout).await;
    }

    async fn wait_arrived(&self, endpoint: &Endpoint, timeout: Duration) {
        let what = format!("{} owed events arrive", self.owed.len());
        let arrived = endpoint.wait_until(&what, timeout, |all| {
            let seen: BTreeSet<_> = all.iter().map(|request| request.event_id()).collect();
            self.owed.is_subset(&seen)
        });
        let arrived = arrived.await;
        for request in arrived {
            assert!(self.sent.contains(&request.event_id()), "{} was never published", request.text());
        }
    }
}

async fn connect_patiently(amqp_url: &str, namespace: &str) -> Producer {
    for _ in 0..MAX_CONNECTS {
        match Producer::connect(amqp_url, namespace).await {
            Ok(producer) => return producer,
            Err(_) => tokio::time::sleep(RECONNECT_DELAY).await,
        }
    }
    panic!("the broker at {amqp_url} stays unreachable");
}
