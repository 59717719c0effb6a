//! Messages from the backlog of a brand, each with several events.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use broker::Message;
use domain::ids::BrandId;
use store::routing::backlogs::BacklogChange;

/// Changes of the figures of backlogs that the database does not have yet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct BacklogFigures(Arc<Mutex<HashMap<BrandId, BacklogChange>>>);

/// A message from the backlog of a brand. It is acknowledged once all of its events are.
pub(crate) struct BacklogMessage {
    pub(crate) message: Message,
    brand_id: BrandId,
    /// The size of its events.
    size: BacklogChange,
    unacknowledged: AtomicUsize,
    figures: BacklogFigures,
}

impl BacklogFigures {
    pub(crate) fn add(&self, brand_id: &BrandId, change: BacklogChange) {
        let mut changes = self.lock();
        let total = changes.entry(brand_id.clone()).or_default();
        total.events += change.events;
        total.bytes += change.bytes;
    }

    pub(crate) fn subtract(&self, brand_id: &BrandId, change: BacklogChange) {
        self.add(brand_id, BacklogChange { events: -change.events, bytes: -change.bytes });
    }

    /// Forgets the changes of a brand whose figures are set to zero.
    pub(crate) fn forget(&self, brand_id: &BrandId) {
        self.lock().remove(brand_id);
    }

    /// Takes all changes.
    pub(crate) fn take(&self) -> Vec<(BrandId, BacklogChange)> {
        self.lock().drain().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BrandId, BacklogChange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BacklogMessage {
    pub(crate) fn new(
        message: Message,
        brand_id: BrandId,
        events: usize,
        size: BacklogChange,
        figures: BacklogFigures,
    ) -> Arc<Self> {
        Arc::new(Self { message, brand_id, size, unacknowledged: AtomicUsize::new(events), figures })
    }

    pub(super) fn brand_id(&self) -> &BrandId {
        &self.brand_id
    }

    /// Acknowledges one of the events.
    pub(super) fn ack_event(&self) {
        if self.unacknowledged.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.message.ack();
            self.figures.subtract(&self.brand_id, self.size);
        }
    }
}
