//! The oracle: a confirmed event is owed. After the faults every owed event must have arrived or be visible
//! as not delivered, and no event may be invented.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::brand::{Brand, Webhook};
use crate::event::Event;
use crate::producer::Producer;
use crate::receiver::Endpoint;

/// How long a producer waits before it reconnects.
const REDIAL: Duration = Duration::from_millis(200);
/// Maximum number of attempts to connect.
const DIALS: usize = 600;

/// The ids of published events.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Ids with a confirmed publish.
    pub owed: BTreeSet<String>,
    /// All published ids, confirmed or not.
    pub sent: BTreeSet<String>,
}

impl Oracle {
    /// Publishes events one after the other, `pause` apart, as a careful producer does. It republishes an
    /// unconfirmed event over a new connection until it is confirmed.
    ///
    /// # Panics
    /// When the broker stays unreachable.
    pub async fn publish(&mut self, amqp_url: &str, namespace: &str, events: &[Event], pause: Duration) {
        let mut producer = dial(amqp_url, namespace).await;
        for event in events {
            self.sent.insert(event.id().to_owned());
            while let Err(error) = producer.try_publish(event).await {
                eprintln!("{}: {error}; dialling again", event.id());
                producer = dial(amqp_url, namespace).await;
            }
            self.owed.insert(event.id().to_owned());
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until every owed event has arrived at the endpoint.
    pub async fn wait_arrived(&self, endpoint: &Endpoint, within: Duration) {
        let what = format!("{} owed events arrive", self.owed.len());
        let arrived = endpoint.wait_until(&what, within, |all| {
            let seen: BTreeSet<_> = all.iter().map(|request| request.event_id()).collect();
            self.owed.is_subset(&seen)
        });
        let arrived = arrived.await;
        for request in arrived {
            assert!(self.sent.contains(&request.event_id()), "{} was never published", request.text());
        }
    }

    /// Waits until Get Events lists exactly the owed events, all with this status.
    pub async fn wait_all(&self, brand: &Brand, webhook: &Webhook, status: &str, within: Duration) {
        brand.wait_listed(webhook, &format!("status={status}"), &self.owed, within).await;
        brand.wait_listed(webhook, "", &self.owed, within).await;
    }
}

async fn dial(amqp_url: &str, namespace: &str) -> Producer {
    for _ in 0..DIALS {
        match Producer::connect(amqp_url, namespace).await {
            Ok(producer) => return producer,
            Err(_) => tokio::time::sleep(REDIAL).await,
        }
    }
    panic!("the broker at {amqp_url} stays unreachable");
}
