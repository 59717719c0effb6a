//! Storing events at the version of the configuration that is current, however often it changes.

use std::time::{Duration, Instant};

use store::config::{self, HeldConfiguration};
use store::ingest::{self, Ingest};
use store::{Db, Store, StoreError};

use crate::events;
use crate::index::Index;
use crate::take::{self, Incoming, Sorted, Taken};

/// How often events are matched against a configuration that may change meanwhile, before its changes are held back:
/// matching and storing many deliveries takes longer than a busy configuration stands still.
const MAX_STALE_TRIES: u32 = 2;

/// Events that are stored.
pub(crate) struct Current<'a, M> {
    pub(crate) sorted: Sorted<'a, M>,
    /// For each event that is wanted, whether it was not taken before.
    pub(crate) fresh: Vec<bool>,
    /// How long the try that succeeded took.
    pub(crate) matching: Duration,
    pub(crate) storing: Duration,
    /// How often the events were matched.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is bounded, which tests show"))]
    pub(crate) tries: u32,
}

/// Matches and stores events at one version of the configuration: an event that was published after a webhook was
/// created is matched against it, however soon.
pub(crate) async fn store<'a, M: Incoming>(
    store: &Store,
    index: &mut Index,
    events: &[&'a Taken<'a, M>],
) -> Result<Current<'a, M>, StoreError> {
    for tries in 1..=MAX_STALE_TRIES {
        if let Some(current) = try_store(store, index, events, tries).await? {
            return Ok(current);
        }
        if tries < MAX_STALE_TRIES {
            refresh(store, index).await.map_err(passing)?;
        }
    }
    let held = HeldConfiguration::begin(store).await.map_err(passing)?;
    refresh(&held, index).await.map_err(passing)?;
    let stored = try_store(&held, index, events, MAX_STALE_TRIES + 1).await?;
    held.commit().await?;
    stored.ok_or_else(|| StoreError::Unreadable("the configuration changed although it was held".to_owned()))
}

/// `None` when the configuration is another than the index shows.
async fn try_store<'a, M: Incoming>(
    db: &impl Db,
    index: &Index,
    events: &[&'a Taken<'a, M>],
    tries: u32,
) -> Result<Option<Current<'a, M>>, StoreError> {
    let began = Instant::now();
    let sorted = take::sort(events.iter().copied(), index);
    let matching = began.elapsed();
    match ingest::store(db, index.version(), &sorted.new_events()).await? {
        Ingest::Stale => Ok(None),
        Ingest::Stored { fresh } => {
            let storing = began.elapsed().saturating_sub(matching);
            Ok(Some(Current { sorted, fresh, matching, storing, tries }))
        }
    }
}

/// Brings the index up to date.
async fn refresh(db: &impl Db, index: &mut Index) -> Result<(), StoreError> {
    index.apply(config::routing_changes(db, index.version()).await?);
    events::index_loaded(index.version());
    Ok(())
}

/// No event is to blame for the configuration: a statement about it that is refused is tried again.
fn passing(error: StoreError) -> StoreError {
    match error {
        StoreError::Refused(cause) => StoreError::Unavailable(Box::new(cause)),
        other => other,
    }
}

#[cfg(test)]
mod tests;
