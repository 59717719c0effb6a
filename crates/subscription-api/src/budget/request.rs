//! The permits of one request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::Extensions;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::{MAX_SMALL_RESPONSE_BYTES, ResponsePermit, Share};
use crate::http::problem::Result;

/// The permits that a request holds, in its extensions. The middleware keeps another reference, and drops the permits
/// when the response is complete.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestBudget(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    share: Option<Arc<Share>>,
    in_flight: Option<OwnedSemaphorePermit>,
    body: Option<[OwnedSemaphorePermit; 2]>,
}

impl RequestBudget {
    /// Returns the budget of a request. Without the middleware, such as in a test of an extractor, nothing is bounded.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A poisoned lock is safe to use, because no panic can leave the permits half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn share(&self) -> Option<Arc<Share>> {
        self.held().share.clone()
    }

    /// Enters the share of the caller, which may take a while.
    pub(crate) async fn enter(&self, share: Arc<Share>) -> Result<()> {
        let permit = share.enter().await?;
        let mut held = self.held();
        held.share = Some(share);
        held.in_flight = Some(permit);
        Ok(())
    }

    /// Reads a body of at most this size.
    ///
    /// The request leaves the share meanwhile, because slow clients would otherwise take it from the brand's others.
    pub(crate) async fn read_body<T>(
        &self,
        bytes: usize,
        reading: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(share) = self.share() else { return reading.await };
        self.leave();
        let reserved = share.reserve_body(bytes).await?;
        self.held().body = Some(reserved);
        let read = reading.await?;
        self.enter_again().await?;
        Ok(read)
    }

    /// Leaves the share before a wait that needs no connection to PostgreSQL, such as for the broker.
    pub(crate) fn leave(&self) {
        drop(self.held().in_flight.take());
    }

    /// Enters the share that the request has left, which may take a while.
    pub(crate) async fn enter_again(&self) -> Result<()> {
        let Some(share) = self.share() else { return Ok(()) };
        let permit = share.enter().await?;
        self.held().in_flight = Some(permit);
        Ok(())
    }

    /// Leaves the share, and waits for a turn of its owner to publish. The turn ends when the permit is dropped.
    pub(crate) async fn begin_publishing(&self) -> Result<Option<OwnedSemaphorePermit>> {
        self.leave();
        let Some(share) = self.share() else { return Ok(None) };
        share.begin_publishing().await.map(Some)
    }

    /// Reserves memory for a large response, which may take a while. A caller without a share gets only static files.
    pub(crate) async fn reserve_response(&self, bytes: usize) -> Result<Option<ResponsePermit>> {
        match self.share() {
            Some(share) if bytes > MAX_SMALL_RESPONSE_BYTES => share.reserve_response(bytes).await.map(Some),
            _ => Ok(None),
        }
    }
}
