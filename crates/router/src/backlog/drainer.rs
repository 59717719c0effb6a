//! Drains the backlogs: takes their messages as the brands get their turns.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use broker::moved::{self, MovedEvent};
use broker::{Message, Puller};
use domain::event::{RejectReason, Rejection};
use domain::ids::BrandId;
use futures_util::{StreamExt, stream};
use runtime::error::Chain;
use runtime::retry::Backoff;
use store::routing::backlogs;
use tokio::time::Instant;
use tracing::{error_span, warn};

use super::Backlogs;
use super::mover::size_of_events;
use crate::intake::{BacklogMessage, Taken};
use crate::queues::consumer::MIN_SUSPICIOUS_RETURNS;
use crate::telemetry;

/// Time between two looks at the table of backlogs, and at a queue that was empty.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks at all queues, also those without waiting events by the figures.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Backlogs that a router drains at once. Each has a channel, and a connection has 2,047 of them.
const MAX_DRAINED: usize = 1000;
/// Rows of the table that are read at once.
const MAX_LISTED: i64 = 10_000;
/// Queues that are asked for a message at once.
const MAX_PULLS_IN_FLIGHT: usize = 16;

/// The backlog of one brand, while it is drained.
struct Drained {
    puller: Arc<Puller>,
    /// The messages that are not acknowledged.
    messages: Vec<std::sync::Weak<BacklogMessage>>,
    /// When the queue is asked again, after it was empty or did not answer.
    retry_at: Option<Instant>,
    backoff: Backoff,
}

/// The backlogs that this router drains.
struct Drainer {
    backlogs: Backlogs,
    drained: HashMap<BrandId, Drained>,
    /// The number of brands that were asked first so far, so that no brand always comes last.
    first: usize,
}

impl Backlogs {
    /// Drains the backlogs until the process stops.
    pub(crate) async fn drain_backlogs(self) {
        let stop = self.stop.clone();
        let mut drainer = Drainer { backlogs: self, drained: HashMap::new(), first: 0 };
        stop.run_until_cancelled(drainer.drain()).await;
        for drained in drainer.drained.values() {
            drained.puller.flush().await;
        }
        drainer.save_figures().await;
    }

    /// Looks at all backlog queues now and then, until the process stops, because the figures of a queue with events
    /// may be zero when a router died.
    pub(crate) async fn sweep_backlogs(self) {
        let sweeping = async {
            loop {
                self.sweep_once().await;
                tokio::time::sleep(SWEEP_INTERVAL).await;
            }
        };
        self.stop.run_until_cancelled(sweeping).await;
    }

    async fn sweep_once(&self) {
        let listed = match backlogs::list_backlogs(&self.store, true, MAX_LISTED).await {
            Ok(listed) => listed,
            Err(error) => {
                warn!(error = %Chain(&error), "could not look up all backlogs of brands; retrying");
                return;
            }
        };
        for backlog in listed.into_iter().filter(|backlog| backlog.waiting_events == 0) {
            let queue = self.topology.names().backlog_queue(&backlog.brand_id);
            let depth = self.topology.queue_depth(&queue).await.ok().flatten();
            if depth.is_some_and(|depth| depth > 0) {
                self.shared.lock().moved.insert(backlog.brand_id);
                self.shared.moved.notify_one();
            }
        }
    }
}

impl Drainer {
    async fn drain(&mut self) {
        let mut list_at = Instant::now();
        loop {
            if list_at <= Instant::now() {
                list_at = Instant::now() + POLL_INTERVAL;
                self.save_figures().await;
                self.find_backlogs().await;
            }
            let moved = std::mem::take(&mut self.backlogs.shared.lock().moved);
            moved.into_iter().for_each(|brand_id| self.start_draining(brand_id));
            if !self.pull_round().await {
                tokio::select! {
                    () = self.backlogs.read_ahead.wait_taken() => {}
                    () = self.backlogs.shared.moved.notified() => {}
                    () = tokio::time::sleep_until(list_at) => {}
                }
            }
        }
    }

    /// Finds the queues that have events by the figures.
    async fn find_backlogs(&mut self) {
        match backlogs::list_backlogs(&self.backlogs.store, false, MAX_LISTED).await {
            Ok(listed) => {
                let waiting = listed.iter().map(|backlog| backlog.waiting_events).sum();
                listed.into_iter().for_each(|backlog| self.start_draining(backlog.brand_id));
                telemetry::backlogs(self.drained.len(), waiting, self.backlogs.read_ahead.count_events());
            }
            Err(error) => warn!(error = %Chain(&error), "could not look up the backlogs of brands; retrying"),
        }
    }

    fn start_draining(&mut self, brand_id: BrandId) {
        if self.drained.len() >= MAX_DRAINED && !self.drained.contains_key(&brand_id) {
            return;
        }
        let queue = self.backlogs.topology.names().backlog_queue(&brand_id);
        let pulling = &self.backlogs.pulling;
        self.drained.entry(brand_id).or_insert_with(|| Drained {
            puller: Arc::new(Puller::new(pulling.clone(), queue)),
            messages: Vec::new(),
            retry_at: None,
            backoff: Backoff::default(),
        });
    }

    /// Takes a message from each queue whose brand has room for one. Returns whether there was any.
    async fn pull_round(&mut self) -> bool {
        let now = Instant::now();
        let read_ahead = &self.backlogs.read_ahead;
        let is_due = |(brand_id, drained): &(&BrandId, &Drained)| {
            drained.retry_at.is_none_or(|at| at <= now) && read_ahead.has_room_for_pulled(brand_id)
        };
        let due = self.drained.iter().filter(is_due);
        let mut due: Vec<_> =
            due.map(|(brand_id, drained)| (brand_id.clone(), Arc::clone(&drained.puller))).collect();
        if due.is_empty() {
            return false;
        }
        self.first = self.first.wrapping_add(MAX_PULLS_IN_FLIGHT);
        let first = self.first % due.len();
        due.rotate_left(first);
        due.truncate(MAX_PULLS_IN_FLIGHT);
        let pull = async |(brand_id, puller): (BrandId, Arc<Puller>)| {
            let pulled = puller.pull().await;
            (brand_id, pulled)
        };
        let pulled: Vec<_> =
            stream::iter(due).map(pull).buffer_unordered(MAX_PULLS_IN_FLIGHT).collect().await;
        let mut any = false;
        for (brand_id, pulled) in pulled {
            match pulled {
                Ok(Some(message)) => {
                    any = true;
                    self.accept_message(brand_id, message).await;
                }
                Ok(None) => self.handle_empty(&brand_id).await,
                Err(error) if error.is_not_found() => self.handle_empty(&brand_id).await,
                Err(error) => {
                    let span = error_span!("backlog", brand = %brand_id);
                    span.in_scope(
                        || warn!(error = %Chain(&error), "could not drain the backlog of a brand; retrying"),
                    );
                    if let Some(drained) = self.drained.get_mut(&brand_id) {
                        drained.retry_at = Some(Instant::now() + drained.backoff.next_delay());
                    }
                }
            }
        }
        any
    }

    /// Adds the events of a message to those that take turns.
    async fn accept_message(&mut self, brand_id: BrandId, mut message: Message) {
        let events = match moved::decode_moved(std::mem::take(&mut message.body)) {
            Ok(events) => events,
            Err(error) => return self.reject_message(message, &error.to_string()),
        };
        if events.is_empty() {
            return message.ack();
        }
        let is_suspicious = message.returns >= MIN_SUSPICIOUS_RETURNS;
        if is_suspicious && events.len() > 1 {
            return self.split_message(&brand_id, &message, events).await;
        }
        let size = size_of_events(events.iter());
        let figures = self.backlogs.figures.clone();
        let carrier = BacklogMessage::new(message, brand_id.clone(), events.len(), size, figures);
        let taken = |event| Taken::Moved(Box::new(event), Arc::clone(&carrier));
        let taken: Vec<Taken> = events.into_iter().map(taken).collect();
        if is_suspicious {
            return self.backlogs.router.handle_taken(taken).await;
        }
        if let Some(drained) = self.drained.get_mut(&brand_id) {
            drained.backoff = Backoff::default();
            drained.messages.retain(|message| message.strong_count() > 0);
            drained.messages.push(Arc::downgrade(&carrier));
        }
        self.backlogs.read_ahead.add_pulled(&brand_id, taken);
    }

    /// Splits a message that was returned several times, because one of its events may kill its consumer. Each event gets
    /// a message of its own, so that RabbitMQ moves only that event to the quarantine.
    async fn split_message(&mut self, brand_id: &BrandId, message: &Message, events: Vec<MovedEvent>) {
        let single: Vec<Vec<MovedEvent>> =
            events.into_iter().map(|event| vec![MovedEvent { redelivered: true, ..event }]).collect();
        match self.backlogs.publish(brand_id, &single).await {
            Ok(()) => message.ack(),
            Err(error) => {
                let error = Chain(&error);
                warn!(%error, brand = %brand_id, "could not split a message of a backlog; RabbitMQ redelivers it");
                if let Err(error) = message.requeue().await {
                    warn!(error = %Chain(&error), "could not requeue a message of a backlog");
                }
            }
        }
    }

    /// Rejects a message that no router published.
    fn reject_message(&self, message: Message, detail: &str) {
        let rejection = Rejection::new(RejectReason::Unreadable, detail);
        telemetry::message_rejected(&rejection);
        let mut taken = Taken::new(message);
        let outgoing = taken.take_rejected(&rejection);
        self.backlogs.router.rejections.publish_in_background(vec![(taken, outgoing)]);
    }

    /// Ends draining an empty queue, and corrects the figures, once its last messages are acknowledged.
    async fn handle_empty(&mut self, brand_id: &BrandId) {
        let Some(drained) = self.drained.get_mut(brand_id) else { return };
        drained.messages.retain(|message| message.strong_count() > 0);
        if !drained.messages.is_empty() {
            drained.retry_at = Some(Instant::now() + POLL_INTERVAL);
            return;
        }
        drained.puller.flush().await;
        self.drained.remove(brand_id);
        self.backlogs.figures.forget(brand_id);
        if let Err(error) = backlogs::clear_backlog(&self.backlogs.store, brand_id).await {
            warn!(error = %Chain(&error), brand = %brand_id, "could not correct the figures of a backlog");
        }
    }

    /// Saves the changes of the figures. Changes that cannot be saved are lost, and the figures corrected later.
    async fn save_figures(&self) {
        let changes = self.backlogs.figures.take();
        if !changes.is_empty()
            && let Err(error) = backlogs::change_backlogs(&self.backlogs.store, &changes).await
        {
            warn!(error = %Chain(&error), "could not save the figures of backlogs; retrying");
            changes.into_iter().for_each(|(brand_id, change)| self.backlogs.figures.add(&brand_id, change));
        }
    }
}
