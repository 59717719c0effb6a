//! Handles batches, and acknowledges their messages.

use std::sync::Arc;
use std::time::Duration;

use broker::Message;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, error_span};

use super::rejections::RejectedPublisher;
use crate::batch::{BatchHandler, HandledBatch};
use crate::intake::Taken;
use crate::read_ahead::ReadAhead;

/// Time after which a router looks for changed quotas.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);

/// Handles batches of messages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EventRouter {
    /// Locked for a batch at a time, whichever queue it comes from, because a batch may update the index.
    pub(crate) handler: Arc<Mutex<BatchHandler>>,
    pub(crate) rejections: RejectedPublisher,
}

impl EventRouter {
    /// Handles the events that were read ahead, forever.
    pub(crate) async fn route_events(self, read_ahead: ReadAhead) {
        let mut version = None;
        loop {
            let mut handler = self.handler.lock().await;
            let index = &handler.index;
            if version != Some(index.version()) {
                version = Some(index.version());
                read_ahead.set_quotas(index.limited_quotas());
            }
            let batch = read_ahead.take_batch(|brand, event_type| index.max_recipients(brand, event_type));
            if batch.is_empty() {
                drop(handler);
                // Changed quotas have an effect after the interval, too.
                let wait =
                    read_ahead.stopped_for().map_or(REFRESH_INTERVAL, |wait| wait.min(REFRESH_INTERVAL));
                let _ = timeout(wait, read_ahead.wait_added()).await;
                continue;
            }
            let messages: Vec<&Taken> = batch.iter().map(|queued| &queued.item.taken).collect();
            let span = error_span!("batch", messages = messages.len());
            let handled = handler.handle_batch(&messages).instrument(span).await;
            drop(handler);
            read_ahead.put_back(self.settle(batch, handled, |queued| queued.item.taken));
        }
    }

    /// Loads the changes of the configuration now and then, forever, because a changed quota has an effect although no
    /// batch is stored.
    pub(crate) async fn refresh_index(self) {
        loop {
            sleep(REFRESH_INTERVAL).await;
            self.handler.lock().await.refresh_index().await;
        }
    }

    /// Handles messages of a queue whose consumer waits for them, and acknowledges each once its event is stored or its
    /// rejection is confirmed.
    pub(crate) async fn handle_messages(&self, messages: Vec<Message>) {
        self.handle_taken(messages.into_iter().map(Taken::new).collect()).await;
    }

    /// Handles events that are not read ahead.
    pub(crate) async fn handle_taken(&self, mut batch: Vec<Taken>) {
        while !batch.is_empty() {
            let span = error_span!("batch", messages = batch.len());
            let taken: Vec<&Taken> = batch.iter().collect();
            let handled = self.handler.lock().await.handle_batch(&taken).instrument(span).await;
            batch = self.settle(batch, handled, |taken| taken);
        }
    }

    /// Acknowledges the handled messages of a batch and rejects the rejected ones. Returns the postponed ones.
    fn settle<T>(&self, batch: Vec<T>, mut handled: HandledBatch, into_taken: impl Fn(T) -> Taken) -> Vec<T> {
        let mut postponed = Vec::new();
        let mut rejected = Vec::new();
        for (position, message) in batch.into_iter().enumerate() {
            if handled.postponed.contains(&position) {
                postponed.push(message);
                continue;
            }
            let mut taken = into_taken(message);
            match handled.rejections.remove(&position) {
                Some(rejection) => {
                    let outgoing = taken.take_rejected(&rejection);
                    rejected.push((taken, outgoing));
                }
                None => taken.ack(),
            }
        }
        self.rejections.publish_in_background(rejected);
        postponed
    }
}
