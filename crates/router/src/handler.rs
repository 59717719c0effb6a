//! One batch from messages to queued deliveries. When it returns, everything in the batch is
//! stored and queued, refused, or counted: the caller may acknowledge.

use std::time::{Duration, Instant};

use broker::wire::{self, Progress};
use broker::{BrokerError, Message, Namespace, Outgoing, Publisher, Route, Topology};
use chrono::{TimeDelta, Utc};
use domain::event::Rejection;
use domain::ids::WebhookId;
use domain::request::EventHead;
use futures_util::{StreamExt, stream};
use runtime::retry::Backoff;
use store::ingest::{self, Ingest, Target};
use store::{Store, StoreError};

use crate::events;
use crate::index::Index;
use crate::silent::Silent;
use crate::take::{self, Sorted, Taken};

/// Publishes in flight at once: bounds memory when events fan out to many webhooks.
const PUBLISHES_IN_FLIGHT: usize = 1000;

/// How long a webhook's queue may take to confirm before what is for it is parked.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a batch needs.
pub(crate) struct Handler {
    store: Store,
    publisher: Publisher,
    topology: Topology,
    names: Namespace,
    deliveries: String,
    unrouted: String,
    silent: Silent,
    retention: Duration,
    index: Index,
}

/// A delivery to queue.
struct Queued<'a> {
    webhook: WebhookId,
    generation: i32,
    head: EventHead,
    data: &'a str,
}

impl Handler {
    pub(crate) fn new(
        store: Store,
        publisher: Publisher,
        topology: Topology,
        names: Namespace,
        retention: Duration,
    ) -> Self {
        let (deliveries, unrouted) = (names.deliveries(), names.unrouted());
        let (silent, index) = (Silent::default(), Index::default());
        Self { store, publisher, topology, names, deliveries, unrouted, silent, retention, index }
    }

    /// Handles a batch to the end; what fails is tried again until it does not.
    pub(crate) async fn handle(&mut self, batch: &[Message]) {
        let started = Instant::now();
        let retention = TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX);
        let (taken, refused, repeated) = take::decode(batch, Utc::now(), retention);
        let (sorted, fresh) = self.store_matched(&taken).await;
        let queued = self.queued(&sorted, &fresh).await;
        let deliveries = queued.len();
        self.publish(queued).await;
        for (message, rejection) in refused.iter().chain(&sorted.refused) {
            self.reject(message, rejection).await;
        }
        (0..repeated).for_each(|_| events::event_repeated());
        (0..sorted.not_enabled).for_each(|_| events::event_not_enabled());
        let seconds = started.elapsed().as_secs_f64();
        events::BatchHandled { messages: batch.len(), deliveries, seconds }.emit();
    }

    /// Matches and stores a batch at one version of the configuration: an event that was published
    /// after a webhook was created is matched against it, however soon.
    async fn store_matched<'a>(&mut self, taken: &'a [Taken<'a>]) -> (Sorted<'a>, Vec<bool>) {
        let mut backoff = Backoff::default();
        if taken.is_empty() {
            return (Sorted::default(), Vec::new());
        }
        loop {
            let sorted = take::sort(taken, &self.index);
            match ingest::store(&self.store, self.index.version(), &sorted.new_events()).await {
                Ok(Ingest::Stored { fresh }) => return (sorted, fresh),
                Ok(Ingest::Stale) => self.refresh_index().await,
                Err(error) => self.recover(&error, &mut backoff).await,
            }
        }
    }

    /// A statement that was refused may miss a partition, if nobody made it ahead.
    async fn recover(&self, error: &StoreError, backoff: &mut Backoff) {
        events::step_failed("store", error);
        if !error.is_unavailable()
            && let Err(error) = store::migrate::make_partitions(&self.store, Utc::now(), self.retention).await
        {
            events::step_failed("partitions", &error);
        }
        backoff.wait().await;
    }

    async fn refresh_index(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            match store::config::routing_changes(&self.store, self.index.version()).await {
                Ok(changes) => break self.index.apply(changes),
                Err(error) => events::step_failed("index", &error),
            }
            backoff.wait().await;
        }
        events::index_loaded(self.index.version());
    }

    /// What is to be queued: the targets of fresh events; and of an event that the broker handed
    /// out before, what the router that had it first did not get to. A duplicate that the producer
    /// published is not among them: the message that came first is acknowledged or comes again.
    async fn queued<'a>(&self, sorted: &'a Sorted<'a>, fresh: &[bool]) -> Vec<Queued<'a>> {
        let mut queued = Vec::new();
        for ((taken, targets), fresh) in sorted.wanted.iter().zip(fresh) {
            if *fresh {
                events::event_taken();
                let head = taken.head(taken.id, taken.created);
                queued.extend(Queued::all(targets, &head, taken.event.data));
                continue;
            }
            events::event_repeated();
            if taken.redelivered {
                queued.extend(self.still_owed(taken).await);
            }
        }
        queued
    }

    async fn still_owed<'a>(&self, taken: &'a Taken<'a>) -> Vec<Queued<'a>> {
        let mut backoff = Backoff::default();
        let owed = loop {
            match ingest::owed(&self.store, &taken.event.brand_id, &taken.key).await {
                Ok(owed) => break owed,
                Err(error) => events::step_failed("owed", &error),
            }
            backoff.wait().await;
        };
        let Some(owed) = owed else { return Vec::new() };
        let head = taken.head(owed.id, owed.created);
        Queued::all(&owed.targets, &head, taken.event.data).collect()
    }

    async fn publish(&self, queued: Vec<Queued<'_>>) {
        let publish = async |delivery: Queued<'_>| {
            let progress = Progress::fresh(delivery.generation);
            let message = Outgoing::new(wire::encode(&progress, &delivery.head, delivery.data));
            self.publish_or_park(&delivery.webhook.to_string(), &message).await;
        };
        stream::iter(queued).map(publish).buffer_unordered(PUBLISHES_IN_FLIGHT).collect::<()>().await;
    }

    /// Queues a delivery. A queue that confirms nothing, while the broker does, holds up nobody
    /// else: what is for it is parked with the unrouted deliveries, from where it is sent on.
    async fn publish_or_park(&self, key: &str, message: &Outgoing) {
        let mut backoff = Backoff::default();
        loop {
            let exchange = if self.silent.holds(key) { &self.unrouted } else { &self.deliveries };
            let route = Route { exchange, key };
            match self.publisher.publish_within(PATIENCE, route, message).await {
                Ok(()) => return,
                Err(error) => {
                    events::step_failed("publish", &error);
                    if error.is_silence() {
                        self.silent.note(key);
                        continue;
                    }
                }
            }
            backoff.wait().await;
        }
    }

    /// Puts a refused message into the queue of refused ones, whole. One that finds no queue makes
    /// the topology again, for nothing is dropped silently.
    async fn reject(&self, message: &Message, rejection: &Rejection) {
        events::event_rejected(rejection);
        let refused = Outgoing {
            body: message.body.clone(),
            message_id: message.message_id.clone(),
            headers: vec![
                ("x-reject-reason", rejection.reason.as_str().to_owned()),
                ("x-reject-detail", rejection.detail.clone()),
            ],
        };
        let queue = self.names.rejected();
        let mut backoff = Backoff::default();
        while let Err(error) =
            self.publisher.publish_mandatory(Route { exchange: "", key: &queue }, &refused).await
        {
            events::step_failed("reject", &error);
            if matches!(error, BrokerError::Unroutable(_)) {
                broker::boot::prepare(&self.topology).await;
            }
            backoff.wait().await;
        }
    }
}

impl<'a> Queued<'a> {
    /// The deliveries of an event to those webhooks that are not disabled.
    fn all<'t>(targets: &'t [Target], head: &'t EventHead, data: &'a str) -> impl Iterator<Item = Self> + 't
    where
        'a: 't,
    {
        let queued = targets.iter().filter(|target| !target.held);
        queued.map(move |t| Self { webhook: t.webhook, generation: t.generation, head: head.clone(), data })
    }
}

impl Taken<'_> {
    fn head(&self, id: domain::ids::EventId, created: domain::time::Timestamp) -> EventHead {
        EventHead {
            id,
            brand_id: self.event.brand_id.clone(),
            created,
            event_type: self.event.event_type.clone(),
        }
    }
}
