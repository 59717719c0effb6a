//! One batch from messages to queued deliveries. When it returns, everything in the batch is stored and queued,
//! counted, or among the refused: the caller acknowledges those once they are in the queue of refused messages.

pub(crate) mod accepted_event;
pub(crate) mod current_version;
pub(crate) mod publish;
pub(crate) mod store_batch;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use broker::{Message, Outgoing};
use chrono::TimeDelta;
use domain::event::Rejection;
use domain::request::EventHead;
use runtime::progress::Progress;
use runtime::retry::Backoff;
use runtime::traces::Traces;
use store::Store;
use store::clock;
use store::ingest;

use crate::dispatch::{Dispatch, Origin, Queued};
use crate::events;
use crate::index::Index;
use crate::storing::{Stored, StoredEvent};
use crate::take::{self, Taken, Wanted};

/// What a batch needs.
pub(crate) struct Handler {
    pub(crate) store: Store,
    pub(crate) dispatch: Dispatch,
    pub(crate) retention: Duration,
    pub(crate) traces: Traces,
    pub(crate) index: Index,
    pub(crate) progress: Progress,
}

impl Handler {
    /// Handles a batch to the end; a step that fails is tried again until it does not. The refused messages, by their
    /// number on the channel.
    pub(crate) async fn handle(&mut self, batch: &[Message]) -> HashMap<u64, Outgoing> {
        let started = Instant::now();
        let in_hand = self.progress.begin();
        let retention = TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX);
        let (mut taken, refused) = take::decode(batch, clock::now(), retention);
        taken.iter_mut().for_each(|taken| taken.trace(&self.traces));
        let stored = self.store_matched(&taken).await;
        self.progress.advance();
        let queued = self.queued(&stored).await;
        let deliveries = queued.len();
        self.dispatch.publish(queued).await;
        let refused = refused.iter().chain(&stored.refused);
        let refused =
            refused.map(|(message, rejection)| (message.tag(), rejected(message, rejection))).collect();
        (0..stored.repeated).for_each(|_| events::event_repeated());
        (0..stored.not_enabled).for_each(|_| events::event_not_enabled());
        let seconds = started.elapsed().as_secs_f64();
        events::BatchHandled { messages: batch.len(), deliveries, seconds }.emit();
        in_hand.done();
        refused
    }

    /// The deliveries to publish: the targets of fresh events; and of an event that the broker handed
    /// out before, or that may have been stored unheard, the deliveries that nobody got to yet. A duplicate that the
    /// producer published is not among them: the message that came first is acknowledged or comes again.
    async fn queued<'a>(&self, stored: &'a Stored<'a>) -> Vec<Queued<'a>> {
        let mut queued = Vec::new();
        let mut unsure = Vec::new();
        for StoredEvent { wanted: Wanted { taken, targets, redelivered }, fresh, retried } in &stored.events {
            if *fresh {
                events::event_taken(clock::now() - taken.created);
                let head = taken.head(taken.id, taken.created);
                queued.extend(Queued::all(targets, &head, taken.origin(), taken.event.data));
                continue;
            }
            events::event_repeated();
            if *redelivered || *retried {
                unsure.push(*taken);
            }
        }
        queued.extend(self.still_owed(&unsure).await);
        queued
    }

    /// The deliveries that events stored before still owe, found in one statement for all of them, because a router
    /// that died leaves whole batches of such events.
    async fn still_owed<'a>(&self, events: &[&'a Taken<'a>]) -> Vec<Queued<'a>> {
        if events.is_empty() {
            return Vec::new();
        }
        let keys: Vec<_> = events.iter().map(|taken| (&taken.event.brand_id, taken.key.as_str())).collect();
        let mut backoff = Backoff::default();
        let owed = loop {
            match ingest::owed(&self.store, &keys).await {
                Ok(owed) => break owed,
                Err(error) => events::step_failed("owed", &error),
            }
            backoff.wait().await;
        };
        let mut queued = Vec::new();
        for (taken, owed) in events.iter().zip(&owed) {
            let Some(owed) = owed else { continue };
            let head = taken.head(owed.id, owed.created);
            let all = Queued::all(&owed.targets, &head, taken.origin(), taken.event.data);
            queued.extend(all.map(Queued::repeated));
        }
        queued
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
