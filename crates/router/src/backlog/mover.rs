//! Moves the events of brands over their share or their quota into their backlogs.

use std::time::Duration;

use broker::BrokerError;
use broker::moved::MovedEvent;
use domain::ids::BrandId;
use runtime::error::Chain;
use store::clock;
use store::routing::backlogs::{self, BacklogChange};
use tokio::time::Instant;
use tracing::{Instrument, error_span, warn};

use super::Backlogs;
use crate::read_ahead::Batch;
use crate::telemetry;

/// Messages of one brand that are published together.
const MAX_MESSAGES: usize = 8;
/// Time for which the events of a brand are routed without being moved after moving failed.
const MOVE_RETRY_DELAY: Duration = Duration::from_secs(10);

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

impl Backlogs {
    /// Moves events whenever there is no room to read ahead, or a quota stops a brand, forever.
    pub(crate) async fn move_surplus(self) {
        loop {
            self.read_ahead.wait_full().await;
            while let Some((brand_id, messages)) = self.take_surplus() {
                let span = error_span!("move", brand = %brand_id);
                self.move_events(&brand_id, messages).instrument(span).await;
            }
        }
    }

    /// Takes the events of several messages of one brand.
    fn take_surplus(&self) -> Option<(BrandId, Vec<Batch>)> {
        self.shared.lock().unmovable.retain(|_, until| *until > Instant::now());
        let can_move = |brand: &BrandId| !self.shared.lock().unmovable.contains_key(brand);
        let take = |can_move: &dyn Fn(&BrandId) -> bool| {
            self.read_ahead.take_stopped(can_move).or_else(|| self.read_ahead.take_surplus(can_move))
        };
        let (brand_id, first) = take(&can_move)?;
        let mut messages = vec![first];
        while messages.len() < MAX_MESSAGES
            && let Some((_, next)) = take(&|brand| *brand == brand_id)
        {
            messages.push(next);
        }
        Some((brand_id, messages))
    }

    /// Moves events, and acknowledges them once they are confirmed. Events that cannot be moved are routed in their turn.
    async fn move_events(&self, brand_id: &BrandId, messages: Vec<Batch>) {
        let now = clock::now();
        let to_moved = |batch: &Batch| batch.iter().map(|queued| queued.item.taken.to_moved(now)).collect();
        let moved: Vec<Vec<MovedEvent>> = messages.iter().map(to_moved).collect();
        if let Err(error) = self.try_move(brand_id, &moved).await {
            warn!(error = %Chain(&error), "could not move events into the backlog of their brand; routing them");
            self.shared.lock().unmovable.insert(brand_id.clone(), Instant::now() + MOVE_RETRY_DELAY);
            messages.into_iter().rev().for_each(|batch| self.read_ahead.put_back(batch));
            return;
        }
        messages.iter().flatten().for_each(|queued| queued.item.taken.ack());
        let size = size_of_events(moved.iter().flatten());
        self.figures.add(brand_id, size);
        telemetry::events_moved(size);
    }

    async fn try_move(&self, brand_id: &BrandId, messages: &[Vec<MovedEvent>]) -> Result<(), MoveError> {
        self.declare_queue(brand_id).await?;
        match self.publish(brand_id, messages).await {
            Err(error) if matches!(error, BrokerError::Unroutable(_)) || error.is_not_found() => {
                // Someone deleted the queue by hand.
                self.shared.lock().declared.remove(brand_id);
                self.declare_queue(brand_id).await?;
                Ok(self.publish(brand_id, messages).await?)
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
