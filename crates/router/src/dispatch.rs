//! Queues deliveries. A queue that the broker has lost holds up nobody else: what is for it is
//! parked with the unrouted deliveries, from where a deliverer sends it on.

use std::sync::Arc;
use std::time::Duration;

use broker::wire::{self, Progress};
use broker::{BrokerError, Namespace, Outgoing, Prober, Publisher, Route};
use domain::ids::WebhookId;
use domain::request::EventHead;
use domain::time::Timestamp;
use domain::trace::TraceParent;
use futures_util::{StreamExt, stream};
use runtime::retry::Backoff;
use store::ingest::Target;

use crate::events;
use crate::silent::{Hearing, Silent};

/// Publishes in flight at once: bounds memory when events fan out to many webhooks.
const PUBLISHES_IN_FLIGHT: usize = 1000;
/// How long a confirm may take before the webhook's queue is suspected.
const PATIENCE: Duration = Duration::from_secs(10);

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
    publisher: Publisher,
    prober: Prober,
    silent: Arc<Silent>,
    deliveries: String,
    unrouted: String,
}

impl Dispatch {
    pub(crate) fn new(publisher: Publisher, prober: Prober, names: &Namespace) -> Self {
        let (deliveries, unrouted) = (names.deliveries(), names.unrouted());
        Self { publisher, prober, silent: Arc::default(), deliveries, unrouted }
    }

    /// Queues or parks all of them.
    pub(crate) async fn publish(&self, queued: Vec<Queued<'_>>) {
        let publish = async |delivery: Queued<'_>| self.publish_or_park(&delivery).await;
        stream::iter(queued).map(publish).buffer_unordered(PUBLISHES_IN_FLIGHT).collect::<()>().await;
    }

    async fn publish_or_park(&self, delivery: &Queued<'_>) {
        let key = delivery.webhook.to_string();
        let mut message = delivery.message(delivery.repeated);
        let mut backoff = Backoff::default();
        loop {
            let exchange = if self.passes_by(&key) { &self.unrouted } else { &self.deliveries };
            let published = self.publisher.publish_within(PATIENCE, Route { exchange, key: &key }, &message);
            let Err(error) = published.await else { return };
            events::step_failed("publish", &error);
            if error.is_silence() && self.hear(&key).await.is_err() {
                self.silent.note(&key);
            }
            // The first one may have been stored all the same.
            message = delivery.message(true);
            backoff.wait().await;
        }
    }

    /// Whether a webhook's queue is passed by. Whether it answers again is asked in the background.
    fn passes_by(&self, key: &str) -> bool {
        let hearing = self.silent.of(key);
        if hearing == Hearing::AskAgain {
            let (dispatch, key) = (self.clone(), key.to_owned());
            tokio::spawn(async move {
                if dispatch.hear(&key).await.is_ok() {
                    dispatch.silent.clear(&key);
                }
            });
        }
        hearing != Hearing::Answers
    }

    async fn hear(&self, key: &str) -> Result<(), BrokerError> {
        let queue = Route { exchange: &self.deliveries, key };
        // The other probe names no webhook: should it come through, its consumer drops it.
        self.prober.hear(queue, Route { exchange: &self.unrouted, key: "probe" }).await
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

    fn message(&self, repeated: bool) -> Outgoing {
        let progress = Progress {
            repeated,
            received: Some(self.origin.received),
            trace: self.origin.trace.cloned(),
            ..Progress::fresh(self.generation)
        };
        Outgoing::new(wire::encode(&progress, &self.head, self.data))
    }
}
