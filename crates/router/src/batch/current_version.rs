//! Stores events at the current version of the configuration, however often it changes.
//!
//! The database rejects a batch that was matched at another version. So an event that was published after a webhook was
//! created is matched against that webhook, however soon it comes.

use std::time::Duration;

use tokio::time::Instant;

use store::routing::configuration;
use store::routing::ingest::{self, Ingest, MAX_BATCH_DELIVERIES};
use store::routing::locked_configuration::LockedConfiguration;
use store::{Executor, Store, StoreError};

use crate::intake::{AcceptedEvent, IncomingMessage};
use crate::subscriptions::{Index, MatchedBatch, match_subscriptions};
use crate::telemetry;

/// Tries while the configuration may change. After them the router locks the configuration, because matching and
/// storing many deliveries may take longer than the time between two changes of a busy configuration.
const MAX_STALE_TRIES: u32 = 2;

/// Events that were matched and stored at one version.
pub(super) struct StoredEvents<'a, M> {
    pub(super) batch: MatchedBatch<'a, M>,
    /// For each matched event, whether it was not stored before.
    pub(super) fresh: Vec<bool>,
    /// Duration of matching in the try that succeeded.
    pub(super) matching: Duration,
    /// Duration of storing in the try that succeeded.
    pub(super) storing: Duration,
    /// Number of times that the events were matched.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests check that it is bounded"))]
    pub(super) tries: u32,
}

/// The result of matching and storing events.
pub(super) enum Outcome<'a, M> {
    Stored(StoredEvents<'a, M>),
    /// Nothing was stored, because the events have more deliveries than one batch may have.
    TooManyDeliveries,
}

/// Matches and stores events at the current version of the configuration.
pub(super) async fn store_at_current_version<'a, M: IncomingMessage>(
    store: &Store,
    index: &mut Index,
    events: &[&'a AcceptedEvent<'a, M>],
) -> Result<Outcome<'a, M>, StoreError> {
    for tries in 1..=MAX_STALE_TRIES {
        if let Some(stored) = try_store(store, index, events, tries).await? {
            return Ok(stored);
        }
        if tries < MAX_STALE_TRIES {
            refresh_index(store, index).await.map_err(into_unavailable)?;
        }
    }
    let locked = LockedConfiguration::begin(store).await.map_err(into_unavailable)?;
    refresh_index(&locked, index).await.map_err(into_unavailable)?;
    let stored = try_store(&locked, index, events, MAX_STALE_TRIES + 1).await?;
    locked.commit().await?;
    stored
        .ok_or_else(|| StoreError::Unreadable("the configuration changed although it was locked".to_owned()))
}

/// Matches and stores events at the index's version; `None` if the configuration has another version by now.
async fn try_store<'a, M: IncomingMessage>(
    db: &impl Executor,
    index: &Index,
    events: &[&'a AcceptedEvent<'a, M>],
    tries: u32,
) -> Result<Option<Outcome<'a, M>>, StoreError> {
    let started = Instant::now();
    let batch = match_subscriptions(events.iter().copied(), index);
    let matching = started.elapsed();
    if events.len() > 1 && batch.count_deliveries() > MAX_BATCH_DELIVERIES {
        return Ok(Some(Outcome::TooManyDeliveries));
    }
    match ingest::store_events(db, index.version(), &batch.new_events()).await? {
        Ingest::Stale => Ok(None),
        Ingest::Stored { fresh } => {
            let storing = started.elapsed().saturating_sub(matching);
            Ok(Some(Outcome::Stored(StoredEvents { batch, fresh, matching, storing, tries })))
        }
    }
}

/// Loads the changes of the configuration into the index.
pub(super) async fn refresh_index(db: &impl Executor, index: &mut Index) -> Result<(), StoreError> {
    let before = index.version();
    index.apply_changes(configuration::load_routing_changes(db, before).await?);
    if index.version() != before {
        telemetry::index_loaded(index.version());
    }
    Ok(())
}

/// Turns a refused statement into an error that is retried, because no event causes an error of the configuration.
fn into_unavailable(error: StoreError) -> StoreError {
    match error {
        StoreError::Refused(cause) => StoreError::Unavailable(Box::new(cause)),
        other => other,
    }
}

#[cfg(test)]
mod tests;
