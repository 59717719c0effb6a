//! Moves the events of brands over their share or their quota into their backlogs.

use std::pin::pin;
use std::time::Duration;

use broker::moved::MovedEvent;
use broker::{BrokerError, Publisher};
use domain::backlog_access::{AccessBounds, Failure, SLOW_AFTER};
use domain::ids::BrandId;
use futures_util::future::join_all;
use runtime::error::Chain;
use store::clock;
use store::routing::backlogs::{self, BacklogChange};
use tokio::time::timeout;
use tracing::{Instrument, error_span, warn};

use super::{Backlogs, failure_of};
use crate::read_ahead::Batch;
use crate::telemetry;

/// Messages of one brand that are published together.
const MAX_MESSAGES: usize = 8;
/// Brands whose events are moved at once. A queue that does not answer blocks the connection over which its messages are
/// published, so that each move has a connection of its own.
pub(crate) const MAX_MOVES: usize = 3;
/// At most one move waits for a queue that failed before.
pub(super) const MOVES: AccessBounds =
    AccessBounds { all: MAX_MOVES, quick: MAX_MOVES, failing: 1, refusal_delay: Duration::from_secs(10) };

/// The reason why events were not moved.
#[derive(Debug, thiserror::Error)]
enum MoveError {
    #[error("the brand does not exist")]
    UnknownBrand,
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl MoveError {
    fn failure(&self) -> Failure {
        match self {
            Self::Broker(error) => failure_of(error),
            Self::UnknownBrand | Self::Store(_) => Failure::Refused,
        }
    }
}

impl Backlogs {
    /// Moves events whenever there is no room to read ahead, or a quota stops a brand, forever.
    pub(crate) async fn move_surplus(self) {
        join_all(self.publishers.iter().map(|publisher| self.move_over(publisher))).await;
    }

    async fn move_over(&self, publisher: &Publisher) {
        loop {
            self.read_ahead.wait_full().await;
            while let Some((brand_id, messages)) = self.take_surplus() {
                let span = error_span!("move", brand = %brand_id);
                self.move_events(publisher, &brand_id, messages).instrument(span).await;
            }
        }
    }

    /// Takes the events of several messages of one brand, or of one message to try a queue that failed before.
    fn take_surplus(&self) -> Option<(BrandId, Vec<Batch>)> {
        let mut state = self.shared.lock();
        let now = self.shared.elapsed();
        let take = |can_move: &dyn Fn(&BrandId) -> bool| {
            self.read_ahead.take_stopped(can_move).or_else(|| self.read_ahead.take_surplus(can_move))
        };
        let (brand_id, first) = take(&|brand| state.moves.may_begin(brand, now))?;
        state.moves.begin(brand_id.clone(), now);
        let max_messages = if state.moves.is_failing(&brand_id) { 1 } else { MAX_MESSAGES };
        let mut messages = vec![first];
        while messages.len() < max_messages
            && let Some((_, next)) = take(&|brand| *brand == brand_id)
        {
            messages.push(next);
        }
        Some((brand_id, messages))
    }

    /// Moves events, and acknowledges them once they are confirmed. Events that cannot be moved are routed in their turn,
    /// also if their brand is over its quota, because they would take the room of all brands.
    async fn move_events(&self, publisher: &Publisher, brand_id: &BrandId, messages: Vec<Batch>) {
        let now = clock::now();
        let ingest = self.topology.names().ingest_exchange();
        let to_moved =
            |batch: &Batch| batch.iter().map(|queued| queued.item.taken.to_moved(now, &ingest)).collect();
        let moved: Vec<Vec<MovedEvent>> = messages.iter().map(to_moved).collect();
        if let Err(error) = self.try_move_exempt(publisher, brand_id, &moved).await {
            warn!(error = %Chain(&error), "could not move events into the backlog of their brand; routing them");
            self.shared.lock().moves.fail(brand_id, self.shared.elapsed(), error.failure());
            self.read_ahead.set_exempt(brand_id, true);
            return self.read_ahead.put_back_newest(messages);
        }
        self.shared.lock().moves.succeed(brand_id);
        self.read_ahead.set_exempt(brand_id, false);
        messages.iter().flatten().for_each(|queued| queued.item.taken.ack());
        let size = size_of_events(moved.iter().flatten());
        self.figures.add(brand_id, size);
        telemetry::events_moved(size);
    }

    /// Moves events. The brand's other events are routed in spite of its quotas as soon as this takes long, because
    /// nothing else makes room for the events of all brands meanwhile.
    async fn try_move_exempt(
        &self,
        publisher: &Publisher,
        brand_id: &BrandId,
        messages: &[Vec<MovedEvent>],
    ) -> Result<(), MoveError> {
        let mut moving = pin!(self.try_move(publisher, brand_id, messages));
        match timeout(SLOW_AFTER, &mut moving).await {
            Ok(moved) => moved,
            Err(_) => {
                self.read_ahead.set_exempt(brand_id, true);
                moving.await
            }
        }
    }

    async fn try_move(
        &self,
        publisher: &Publisher,
        brand_id: &BrandId,
        messages: &[Vec<MovedEvent>],
    ) -> Result<(), MoveError> {
        self.declare_queue(brand_id).await?;
        match self.publish(publisher, brand_id, messages).await {
            Err(error) if matches!(error, BrokerError::Unroutable(_)) || error.is_not_found() => {
                // Someone deleted the queue by hand.
                self.shared.lock().declared.remove(brand_id);
                self.declare_queue(brand_id).await?;
                Ok(self.publish(publisher, brand_id, messages).await?)
            }
            published => Ok(published?),
        }
    }

    /// Declares the queue of a brand once. Its row comes first, so that every router finds the queue.
    async fn declare_queue(&self, brand_id: &BrandId) -> Result<(), MoveError> {
        if self.shared.lock().declared.contains(brand_id) {
            return Ok(());
        }
        if !backlogs::ensure_backlog(&self.store, brand_id).await? {
            return Err(MoveError::UnknownBrand);
        }
        self.topology.declare_backlog_queue(brand_id).await?;
        self.shared.lock().declared.insert(brand_id.clone());
        Ok(())
    }
}

/// Returns the number of events and the bytes of their bodies.
pub(super) fn size_of_events<'a>(events: impl Iterator<Item = &'a MovedEvent>) -> BacklogChange {
    events.fold(BacklogChange::default(), |size, event| BacklogChange {
        events: size.events + 1,
        bytes: size.bytes + i64::try_from(event.body.len()).unwrap_or(i64::MAX),
    })
}
