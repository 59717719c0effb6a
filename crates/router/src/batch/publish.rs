//! Publishes the deliveries of stored events, several of the same webhook in one message.
//!
//! A queue that RabbitMQ has lost, or that refuses messages, delays no other queue. Its deliveries are left to the
//! database, from which the webhook's owner attempts them.

use std::collections::HashMap;

use broker::wire::{self, Progress, WireData};
use broker::{BrokerError, GuardedPublisher, Namespace, Outgoing, Published, Route};
use domain::delivery::envelope::EventHead;
use domain::ids::WebhookId;
use domain::time::Timestamp;
use domain::trace::TraceParent;
use futures_util::{StreamExt, stream};
use runtime::progress::WorkProgress;
use runtime::retry::until_ok;
use store::clock;
use store::delivery::orphaned;
use store::delivery::record::DeliveryKey;
use store::routing::ingest::{self, Recipient};
use store::{Store, StoreError};
use tokio::sync::Semaphore;
use tracing::{error_span, field};

use super::store_batch::{StoredBatch, StoredEvent};
use crate::intake::AcceptedEvent;
use crate::subscriptions::MatchedEvent;
use crate::telemetry::{self, Operation};

/// Messages in flight at once, which bounds the memory when events fan out to many webhooks.
const MAX_PUBLISHES_IN_FLIGHT: usize = 1000;
/// Bytes of the bodies of messages in flight at once. The client holds a copy of each until it is written.
const MAX_PUBLISHED_BYTES: u32 = 16 * 1024 * 1024;
/// Deliveries left to the database in one statement.
const MAX_RECORDED: usize = 1000;

/// A delivery to publish.
struct OutgoingDelivery<'a> {
    webhook: WebhookId,
    generation: i32,
    head: EventHead,
    origin: EventOrigin<'a>,
    data: WireData<'a>,
    /// Whether another router may have published it before.
    repeated: bool,
}

/// When and with which trace an event came, which its deliveries carry on.
#[derive(Debug, Clone, Copy)]
struct EventOrigin<'a> {
    received: Timestamp,
    trace: Option<&'a TraceParent>,
}

/// Publishes to the webhooks' queues.
pub(crate) struct DeliveryPublisher {
    store: Store,
    publisher: GuardedPublisher,
    exchange: String,
    progress: WorkProgress,
    /// Permits for [`MAX_PUBLISHED_BYTES`].
    bytes: Semaphore,
}

impl DeliveryPublisher {
    pub(crate) fn new(
        store: Store,
        publisher: GuardedPublisher,
        names: &Namespace,
        progress: WorkProgress,
    ) -> Self {
        let bytes = Semaphore::new(MAX_PUBLISHED_BYTES as usize);
        Self { store, publisher, exchange: names.deliveries_exchange(), progress, bytes }
    }

    /// Publishes the deliveries that stored events still need, and returns their number.
    pub(super) async fn publish_stored(&self, stored: &StoredBatch<'_>) -> usize {
        let deliveries = self.deliveries_to_publish(stored).await;
        let count = deliveries.len();
        self.publish_deliveries(deliveries).await;
        count
    }

    /// Returns the deliveries to publish.
    ///
    /// These are the deliveries of fresh events. If RabbitMQ delivered an event before, or if an earlier try may have
    /// stored it, these are the deliveries that nothing has been done with yet. A second publication by the producer
    /// needs none, because the message of the first one is acknowledged or comes again.
    async fn deliveries_to_publish<'a>(&self, stored: &'a StoredBatch<'a>) -> Vec<OutgoingDelivery<'a>> {
        let mut deliveries = Vec::new();
        let mut unsure = Vec::new();
        for StoredEvent { matched, fresh, retried } in &stored.events {
            let MatchedEvent { event, recipients, redelivered } = matched;
            if *fresh {
                telemetry::event_taken(clock::now() - event.created);
                let head = event.head(event.id, event.created);
                deliveries.extend(OutgoingDelivery::for_recipients(recipients, &head, event));
                continue;
            }
            telemetry::event_duplicate();
            if *redelivered || *retried {
                unsure.push(*event);
            }
        }
        deliveries.extend(self.load_owed(&unsure).await);
        deliveries
    }

    /// Loads the deliveries that events stored before still owe. One statement covers all of the events, because a
    /// router that died leaves whole batches of them.
    async fn load_owed<'a>(&self, events: &[&'a AcceptedEvent<'a>]) -> Vec<OutgoingDelivery<'a>> {
        if events.is_empty() {
            return Vec::new();
        }
        let keys: Vec<_> = events.iter().map(|event| event.unique_key()).collect();
        let on_error = |error: &StoreError| telemetry::operation_failed(Operation::LoadOwed, error);
        let owed = until_ok(|| ingest::find_owed(&self.store, &keys), on_error).await;
        let mut deliveries = Vec::new();
        for (event, owed) in events.iter().zip(&owed) {
            let Some(owed) = owed else { continue };
            let head = event.head(owed.id, owed.created);
            let all = OutgoingDelivery::for_recipients(&owed.recipients, &head, event);
            deliveries.extend(all.map(OutgoingDelivery::into_repeated));
        }
        deliveries
    }

    /// Publishes deliveries, and leaves the deliveries of blocked queues to the database.
    async fn publish_deliveries(&self, deliveries: Vec<OutgoingDelivery<'_>>) {
        let publish = async |batch: MessageBatch<'_>| match self.publish_batch(&batch).await {
            Published::Confirmed => Vec::new(),
            Published::Blocked => batch.delivery_keys(),
        };
        let publishing = stream::iter(group_into_batches(deliveries))
            .map(publish)
            .buffer_unordered(MAX_PUBLISHES_IN_FLIGHT);
        let left: Vec<DeliveryKey> = publishing.collect::<Vec<_>>().await.concat();
        self.leave_to_database(&left).await;
    }

    async fn publish_batch(&self, batch: &MessageBatch<'_>) -> Published {
        // The semaphore is never closed.
        let bytes = u32::try_from(batch.bytes).unwrap_or(u32::MAX).min(MAX_PUBLISHED_BYTES);
        let _permit = self.bytes.acquire_many(bytes).await;
        let key = batch.webhook.to_string();
        let route = Route { exchange: &self.exchange, key: &key };
        let on_error = |error: &BrokerError| {
            batch.log_span().in_scope(|| telemetry::operation_failed(Operation::PublishDeliveries, error));
        };
        let message = |repeated| batch.to_outgoing(repeated);
        let published = self.publisher.publish(&key, route, message, on_error).await;
        self.progress.advance();
        published
    }

    async fn leave_to_database(&self, deliveries: &[DeliveryKey]) {
        for chunk in deliveries.chunks(MAX_RECORDED) {
            let on_error = |error: &StoreError| telemetry::operation_failed(Operation::RecordOrphaned, error);
            until_ok(|| orphaned::record_orphaned(&self.store, chunk), on_error).await;
        }
    }
}

impl<'a> OutgoingDelivery<'a> {
    /// Creates the deliveries of an event to the webhooks that are not disabled.
    fn for_recipients<'t>(
        recipients: &'t [Recipient],
        head: &'t EventHead,
        event: &'a AcceptedEvent<'a>,
    ) -> impl Iterator<Item = Self> + 't
    where
        'a: 't,
    {
        let origin = EventOrigin { received: event.received, trace: event.trace.as_ref() };
        let active = recipients.iter().filter(|target| !target.held);
        active.map(move |target| Self {
            webhook: target.webhook,
            generation: target.generation,
            head: head.clone(),
            origin,
            data: WireData::new(event.event.data),
            repeated: false,
        })
    }

    /// Marks the delivery, because another router may have published it before.
    fn into_repeated(self) -> Self {
        Self { repeated: true, ..self }
    }

    fn encode_with(&self, repeated: bool) -> Vec<u8> {
        let progress = Progress {
            repeated: self.repeated || repeated,
            received: Some(self.origin.received),
            trace: self.origin.trace.cloned(),
            ..Progress::fresh(self.generation)
        };
        wire::encode(&progress, &self.head, self.data)
    }
}

/// Deliveries to one webhook that share a message.
struct MessageBatch<'a> {
    webhook: WebhookId,
    deliveries: Vec<OutgoingDelivery<'a>>,
    /// Bytes of their data in the message.
    bytes: usize,
}

impl<'a> MessageBatch<'a> {
    fn new(delivery: OutgoingDelivery<'a>) -> Self {
        Self { webhook: delivery.webhook, bytes: delivery.data.inline_bytes(), deliveries: vec![delivery] }
    }

    fn has_room_for(&self, delivery: &OutgoingDelivery<'_>) -> bool {
        wire::has_room(self.deliveries.len(), self.bytes, delivery.data.inline_bytes())
    }

    fn add_delivery(&mut self, delivery: OutgoingDelivery<'a>) {
        self.bytes += delivery.data.inline_bytes();
        self.deliveries.push(delivery);
    }

    fn delivery_keys(&self) -> Vec<DeliveryKey> {
        let key = |delivery: &OutgoingDelivery<'_>| DeliveryKey {
            webhook: self.webhook,
            created: delivery.head.created,
            event: delivery.head.id,
        };
        self.deliveries.iter().map(key).collect()
    }

    /// Creates the message. `repeated` says whether RabbitMQ may have stored an earlier copy.
    fn to_outgoing(&self, repeated: bool) -> Outgoing {
        let encoded = self.deliveries.iter().map(|delivery| delivery.encode_with(repeated)).collect();
        Outgoing::new(wire::join_deliveries(encoded))
    }

    /// Creates the span whose fields identify the message in log lines. It formats its fields, so it is created only
    /// when there is a line to write.
    fn log_span(&self) -> tracing::Span {
        let first = self.deliveries.first().map(|delivery| &delivery.head);
        error_span!(
            "message",
            webhook = %self.webhook,
            brand = first.map(|head| field::display(&head.brand_id)),
            first_event = first.map(|head| field::display(head.id)),
            deliveries = self.deliveries.len(),
        )
    }
}

/// Groups deliveries by webhook, and keeps the order within a webhook.
fn group_into_batches(deliveries: Vec<OutgoingDelivery<'_>>) -> Vec<MessageBatch<'_>> {
    let mut batches = Vec::<MessageBatch<'_>>::new();
    let mut last_of_webhook = HashMap::new();
    for delivery in deliveries {
        let open = last_of_webhook.get(&delivery.webhook).and_then(|at: &usize| batches.get_mut(*at));
        match open.filter(|batch| batch.has_room_for(&delivery)) {
            Some(batch) => batch.add_delivery(delivery),
            None => {
                last_of_webhook.insert(delivery.webhook, batches.len());
                batches.push(MessageBatch::new(delivery));
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn new_delivery(webhook: u128, data: &str) -> OutgoingDelivery<'_> {
        let created = Timestamp::UNIX_EPOCH;
        let event_type = "A.B".parse().expect("a type");
        let brand_id = "acme".parse().expect("a brand");
        let head = EventHead { id: domain::ids::EventId::generate(0), brand_id, created, event_type };
        let origin = EventOrigin { received: created, trace: None };
        let webhook = WebhookId(uuid::Uuid::from_u128(webhook));
        let data = WireData::new(data);
        OutgoingDelivery { webhook, generation: 1, head, origin, data, repeated: false }
    }

    proptest! {
        #[test]
        fn each_delivery_is_in_one_message_of_its_webhook_in_order_and_no_message_is_too_large(
            deliveries in prop::collection::vec((0..4_u128, 0..20_000_usize), 0..100),
        ) {
            let data: Vec<String> = deliveries.iter().map(|(_, bytes)| "7".repeat(*bytes)).collect();
            let delivery_at = |at: usize| new_delivery(deliveries[at].0, &data[at]);
            let outgoing: Vec<OutgoingDelivery<'_>> = (0..data.len()).map(delivery_at).collect();
            let before: Vec<_> = outgoing.iter().map(|delivery| (delivery.webhook, delivery.head.id)).collect();
            let batches = group_into_batches(outgoing);
            for batch in &batches {
                prop_assert!(batch.deliveries.iter().all(|delivery| delivery.webhook == batch.webhook));
                prop_assert!((1..=wire::MAX_DELIVERIES).contains(&batch.deliveries.len()));
                prop_assert!(batch.to_outgoing(true).body.len() <= wire::MAX_MESSAGE_BYTES);
            }
            for webhook in 0..4 {
                let webhook = WebhookId(uuid::Uuid::from_u128(webhook));
                let of_webhook = batches.iter().flat_map(|batch| &batch.deliveries);
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
    fn small_deliveries_share_a_message_with_others_of_their_webhook_only() {
        let outgoing = (0..20).map(|n| new_delivery(n % 2, "7")).collect();
        let sizes: Vec<usize> =
            group_into_batches(outgoing).iter().map(|batch| batch.deliveries.len()).collect();
        assert_eq!(sizes, [8, 8, 2, 2]);
    }
}
