//! Queues deliveries, several to the same webhook in one message. A queue that the broker has lost, or that refuses
//! messages, holds up nobody: its deliveries are left to the database, from which its owner attempts them.

use std::collections::HashMap;

use broker::wire::{self, Progress};
use broker::{BrokerError, GuardedPublisher, Namespace, Outgoing, Published, Route};
use domain::ids::WebhookId;
use domain::request::EventHead;
use domain::time::Timestamp;
use domain::trace::TraceParent;
use futures_util::{StreamExt, stream};
use runtime::progress;
use runtime::retry::Backoff;
use store::Store;
use store::ingest::Target;
use store::record::DeliveryKey;
use store::stranded;

use crate::events;

/// Publishes in flight at once: bounds memory when events fan out to many webhooks.
const PUBLISHES_IN_FLIGHT: usize = 1000;
/// Deliveries left to the database in one statement.
const MAX_NOTED: usize = 1000;

/// A delivery to queue.
pub(crate) struct Queued<'a> {
    webhook: WebhookId,
    generation: i32,
    head: EventHead,
    origin: Origin<'a>,
    data: &'a str,
    /// Whether another router may have queued it before.
    repeated: bool,
}

/// Where an event came from, for those who follow it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// When the router received it.
    pub(crate) received: Timestamp,
    /// The producer's trace.
    pub(crate) trace: Option<&'a TraceParent>,
}

/// Publishes to the webhooks' queues. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dispatch {
    store: Store,
    publisher: GuardedPublisher,
    deliveries: String,
    progress: progress::Progress,
}

impl Dispatch {
    pub(crate) fn new(
        store: Store,
        publisher: GuardedPublisher,
        names: &Namespace,
        progress: progress::Progress,
    ) -> Self {
        Self { store, publisher, deliveries: names.deliveries(), progress }
    }

    /// Queues all of them, or leaves those to the database whose queue stores nothing.
    pub(crate) async fn publish(&self, queued: Vec<Queued<'_>>) {
        let publish = async |pack: Pack<'_>| match self.publish_pack(&pack).await {
            Published::Confirmed => Vec::new(),
            Published::Blocked => pack.keys(),
        };
        let publishing = stream::iter(packs(queued)).map(publish).buffer_unordered(PUBLISHES_IN_FLIGHT);
        let left: Vec<DeliveryKey> = publishing.collect::<Vec<_>>().await.concat();
        self.leave_to_database(&left).await;
    }

    async fn publish_pack(&self, pack: &Pack<'_>) -> Published {
        let key = pack.webhook.to_string();
        let route = Route { exchange: &self.deliveries, key: &key };
        let failed = |error: &BrokerError| events::step_failed("publish", error);
        let published = self.publisher.publish(&key, route, |repeated| pack.message(repeated), failed).await;
        self.progress.advance();
        published
    }

    async fn leave_to_database(&self, deliveries: &[DeliveryKey]) {
        for chunk in deliveries.chunks(MAX_NOTED) {
            let mut backoff = Backoff::default();
            while let Err(error) = stranded::note(&self.store, chunk).await {
                events::step_failed("note", &error);
                backoff.wait().await;
            }
        }
    }
}

impl<'a> Queued<'a> {
    /// The deliveries of an event to those webhooks that are not disabled.
    pub(crate) fn all<'t>(
        targets: &'t [Target],
        head: &'t EventHead,
        origin: Origin<'a>,
        data: &'a str,
    ) -> impl Iterator<Item = Self> + 't
    where
        'a: 't,
    {
        let queued = targets.iter().filter(|target| !target.held);
        queued.map(move |t| Self {
            webhook: t.webhook,
            generation: t.generation,
            head: head.clone(),
            origin,
            data,
            repeated: false,
        })
    }

    /// The same, on behalf of a router that may have queued it before.
    pub(crate) fn repeated(self) -> Self {
        Self { repeated: true, ..self }
    }

    fn encode(&self, repeated: bool) -> Vec<u8> {
        let progress = Progress {
            repeated: self.repeated || repeated,
            received: Some(self.origin.received),
            trace: self.origin.trace.cloned(),
            ..Progress::fresh(self.generation)
        };
        wire::encode(&progress, &self.head, self.data)
    }
}

/// What goes to one webhook in one message.
struct Pack<'a> {
    webhook: WebhookId,
    deliveries: Vec<Queued<'a>>,
    /// Of their data.
    bytes: usize,
}

impl<'a> Pack<'a> {
    fn of(delivery: Queued<'a>) -> Self {
        Self { webhook: delivery.webhook, bytes: delivery.data.len(), deliveries: vec![delivery] }
    }

    fn has_room_for(&self, delivery: &Queued<'_>) -> bool {
        wire::is_room(self.deliveries.len(), self.bytes, delivery.data.len())
    }

    fn add(&mut self, delivery: Queued<'a>) {
        self.bytes += delivery.data.len();
        self.deliveries.push(delivery);
    }

    fn keys(&self) -> Vec<DeliveryKey> {
        let key = |delivery: &Queued<'_>| DeliveryKey {
            webhook: self.webhook,
            created: delivery.head.created,
            event: delivery.head.id,
        };
        self.deliveries.iter().map(key).collect()
    }

    /// `repeated`: whether it may be queued already.
    fn message(&self, repeated: bool) -> Outgoing {
        Outgoing::new(wire::join(self.deliveries.iter().map(|delivery| delivery.encode(repeated)).collect()))
    }
}

/// Those of a webhook together, in the order in which they came.
fn packs(queued: Vec<Queued<'_>>) -> Vec<Pack<'_>> {
    let (mut packs, mut last) = (Vec::<Pack<'_>>::new(), HashMap::new());
    for delivery in queued {
        let open = last.get(&delivery.webhook).and_then(|at: &usize| packs.get_mut(*at));
        match open.filter(|pack| pack.has_room_for(&delivery)) {
            Some(pack) => pack.add(delivery),
            None => {
                last.insert(delivery.webhook, packs.len());
                packs.push(Pack::of(delivery));
            }
        }
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queued(webhook: u128, data: &str) -> Queued<'_> {
        let created = Timestamp::UNIX_EPOCH;
        let event_type = "A.B".parse().expect("a type");
        let brand_id = "acme".parse().expect("a brand");
        let head = EventHead { id: domain::ids::EventId::draw(0), brand_id, created, event_type };
        let origin = Origin { received: created, trace: None };
        let webhook = WebhookId(uuid::Uuid::from_u128(webhook));
        Queued { webhook, generation: 1, head, origin, data, repeated: false }
    }

    proptest! {
        #[test]
        fn each_delivery_is_in_one_message_of_its_webhook_in_order_and_none_is_too_large(
            deliveries in prop::collection::vec((0..4_u128, 0..20_000_usize), 0..100),
        ) {
            let data: Vec<String> = deliveries.iter().map(|(_, bytes)| "7".repeat(*bytes)).collect();
            let of = |at: usize| queued(deliveries[at].0, &data[at]);
            let queued: Vec<Queued<'_>> = (0..data.len()).map(of).collect();
            let before: Vec<_> = queued.iter().map(|delivery| (delivery.webhook, delivery.head.id)).collect();
            let packs = packs(queued);
            for pack in &packs {
                prop_assert!(pack.deliveries.iter().all(|delivery| delivery.webhook == pack.webhook));
                prop_assert!((1..=wire::MOST_DELIVERIES).contains(&pack.deliveries.len()));
                let bytes: usize = pack.deliveries.iter().map(|delivery| delivery.data.len()).sum();
                prop_assert!(pack.deliveries.len() == 1 || bytes <= wire::MOST_BYTES);
            }
            for webhook in 0..4 {
                let webhook = WebhookId(uuid::Uuid::from_u128(webhook));
                let of_webhook = packs.iter().flat_map(|pack| &pack.deliveries);
                let after: Vec<_> = of_webhook
                    .map(|delivery| (delivery.webhook, delivery.head.id))
                    .filter(|(of, _)| *of == webhook)
                    .collect();
                let expected: Vec<_> = before.iter().copied().filter(|(of, _)| *of == webhook).collect();
                prop_assert_eq!(after, expected);
            }
        }
    }

    #[test]
    fn small_ones_of_a_webhook_travel_together_and_those_of_others_apart() {
        let queued = (0..20).map(|n| queued(n % 2, "7")).collect();
        let sizes: Vec<usize> = packs(queued).iter().map(|pack| pack.deliveries.len()).collect();
        assert_eq!(sizes, [8, 8, 2, 2]);
    }
}
