//! One batch from messages to queued deliveries. When it returns, everything in the batch is stored and queued,
//! counted, or among the refused: the caller acknowledges those once they are in the queue of refused messages.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use broker::{Message, Outgoing};
use chrono::{TimeDelta, Utc};
use domain::event::Rejection;
use domain::request::EventHead;
use runtime::progress::Progress;
use runtime::retry::Backoff;
use runtime::traces::Traces;
use store::ingest::{self, Ingest};
use store::{Store, StoreError};

use crate::dispatch::{Dispatch, Origin, Queued};
use crate::events;
use crate::index::Index;
use crate::take::{self, Sorted, Taken};

/// What a batch needs.
pub(crate) struct Handler {
    pub(crate) store: Store,
    pub(crate) dispatch: Dispatch,
    pub(crate) retention: Duration,
    pub(crate) traces: Traces,
    pub(crate) index: Index,
    pub(crate) progress: Progress,
}

/// A batch that is stored.
#[derive(Default)]
struct Stored<'a> {
    sorted: Sorted<'a>,
    /// For each event whether it was taken by the try that was answered.
    fresh: Vec<bool>,
    /// An earlier try got no answer: it may have stored what is not fresh now.
    retried: bool,
}

impl Handler {
    /// Handles a batch to the end; a step that fails is tried again until it does not. The refused messages, by their
    /// number on the channel.
    pub(crate) async fn handle(&mut self, batch: &[Message]) -> HashMap<u64, Outgoing> {
        let started = Instant::now();
        let in_hand = self.progress.begin();
        let retention = TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX);
        let (mut taken, refused, repeated) = take::decode(batch, Utc::now(), retention);
        taken.iter_mut().for_each(|taken| taken.trace(&self.traces));
        let stored = self.store_matched(&taken).await;
        self.progress.advance();
        let queued = self.queued(&stored).await;
        let deliveries = queued.len();
        self.dispatch.publish(queued).await;
        let refused = refused.iter().chain(&stored.sorted.refused);
        let refused =
            refused.map(|(message, rejection)| (message.tag(), rejected(message, rejection))).collect();
        (0..repeated).for_each(|_| events::event_repeated());
        (0..stored.sorted.not_enabled).for_each(|_| events::event_not_enabled());
        let seconds = started.elapsed().as_secs_f64();
        events::BatchHandled { messages: batch.len(), deliveries, seconds }.emit();
        in_hand.done();
        refused
    }

    /// Matches and stores a batch at one version of the configuration: an event that was published
    /// after a webhook was created is matched against it, however soon.
    async fn store_matched<'a>(&mut self, taken: &'a [Taken<'a>]) -> Stored<'a> {
        let (mut backoff, mut retried) = (Backoff::default(), false);
        if taken.is_empty() {
            return Stored::default();
        }
        loop {
            let began = Instant::now();
            let sorted = take::sort(taken, &self.index);
            let matched = began.elapsed();
            match ingest::store(&self.store, self.index.version(), &sorted.new_events()).await {
                Ok(Ingest::Stored { fresh }) => {
                    events::batch_stored(matched, began.elapsed().saturating_sub(matched));
                    return Stored { sorted, fresh, retried };
                }
                Ok(Ingest::Stale) => self.refresh_index().await,
                Err(error) => {
                    retried = true;
                    self.recover(&error, &mut backoff).await;
                }
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
    /// out before, or that may have been stored unheard, what nobody got to yet. A duplicate that the
    /// producer published is not among them: the message that came first is acknowledged or comes again.
    async fn queued<'a>(&self, stored: &'a Stored<'a>) -> Vec<Queued<'a>> {
        let mut queued = Vec::new();
        for ((taken, targets), fresh) in stored.sorted.wanted.iter().zip(&stored.fresh) {
            if *fresh {
                events::event_taken(Utc::now() - taken.created);
                let head = taken.head(taken.id, taken.created);
                queued.extend(Queued::all(targets, &head, taken.origin(), taken.event.data));
                continue;
            }
            events::event_repeated();
            if taken.redelivered || stored.retried {
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
        let queued = Queued::all(&owed.targets, &head, taken.origin(), taken.event.data);
        queued.map(Queued::repeated).collect()
    }
}

/// A refused message, whole, and why it was.
pub(crate) fn rejected(message: &Message, rejection: &Rejection) -> Outgoing {
    events::event_rejected(rejection);
    Outgoing {
        body: message.body.clone(),
        message_id: message.message_id.clone(),
        headers: vec![
            ("x-reject-reason", rejection.reason.as_str().to_owned()),
            ("x-reject-detail", rejection.detail().to_owned()),
        ],
        ..Outgoing::default()
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

    fn origin(&self) -> Origin<'_> {
        Origin { received: self.received, trace: self.trace.as_ref() }
    }
}
