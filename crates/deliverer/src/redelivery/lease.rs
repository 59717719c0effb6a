//! Holds the right to send a webhook's deliveries from the database.

use domain::ids::WebhookId;
use store::redelivery::lease::{self, EXTEND_INTERVAL, LEASE_TIMEOUT};
use store::{Store, StoreError};
use tokio::time::Instant;
use uuid::Uuid;

use crate::telemetry::{self, Operation};

/// A lease that was claimed.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    store: &'a Store,
    webhook: WebhookId,
    /// Drawn for each run, so that a worker and its successor in the same process are two holders.
    holder: Uuid,
    /// When the claim was sent.
    claimed: Instant,
}

impl<'a> Lease<'a> {
    /// Claims the lease on a webhook's redeliveries. Returns `None` if another holder has it.
    pub(crate) async fn claim(store: &'a Store, webhook: WebhookId) -> Result<Option<Self>, StoreError> {
        let lease = Self { store, webhook, holder: Uuid::new_v4(), claimed: Instant::now() };
        Ok(lease.extend().await?.then_some(lease))
    }

    /// Extends the lease until another holder has it, or may have it.
    pub(crate) async fn wait_until_lost(&self) {
        extend_until_lost(self, self.claimed).await;
    }

    pub(crate) async fn release(self) -> Result<(), StoreError> {
        lease::release_redelivery(self.store, self.webhook, self.holder).await
    }
}

/// A lease that can be extended.
trait Extend {
    /// Extends the lease. Returns false if another holder has it.
    async fn extend(&self) -> Result<bool, StoreError>;
}

impl Extend for Lease<'_> {
    async fn extend(&self) -> Result<bool, StoreError> {
        lease::claim_redelivery(self.store, self.webhook, self.holder).await
    }
}

/// Extends a lease until another holder has it, or may have it: the last extension that succeeded was sent at
/// `extended`, so that the lease lapses [`LEASE_TIMEOUT`] later at the earliest.
async fn extend_until_lost(lease: &impl Extend, mut extended: Instant) {
    loop {
        tokio::time::sleep(EXTEND_INTERVAL).await;
        let now = Instant::now();
        // A database that refuses connections fails each extension at once, so that no extension meets its deadline.
        if now >= extended + LEASE_TIMEOUT {
            return;
        }
        match tokio::time::timeout_at(extended + LEASE_TIMEOUT, lease.extend()).await {
            Ok(Ok(true)) => extended = now,
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => telemetry::report_retry(Operation::ClaimRedelivery, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Answers each call with a function of its number, from 1; `None`: the database does not answer.
    struct Scripted<F> {
        answer: F,
        calls: Cell<u32>,
    }

    impl<F: Fn(u32) -> Option<Result<bool, StoreError>>> Scripted<F> {
        fn new(answer: F) -> Self {
            Self { answer, calls: Cell::new(0) }
        }
    }

    impl<F: Fn(u32) -> Option<Result<bool, StoreError>>> Extend for Scripted<F> {
        async fn extend(&self) -> Result<bool, StoreError> {
            self.calls.set(self.calls.get() + 1);
            match (self.answer)(self.calls.get()) {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_another_holder_has_is_lost_at_the_next_extension() {
        let lease = Scripted::new(|call| Some(Ok(call < 4)));
        let began = Instant::now();
        extend_until_lost(&lease, began).await;
        assert_eq!((lease.calls.get(), began.elapsed()), (4, EXTEND_INTERVAL * 4));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lapses_when_the_database_does_not_answer() {
        let began = Instant::now();
        extend_until_lost(&Scripted::new(|_| None), began).await;
        assert_eq!(began.elapsed(), LEASE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lapses_when_every_extension_fails_at_once() {
        let began = Instant::now();
        let refuse = |_| Some(Err(StoreError::Unavailable("a test".into())));
        let lease = Scripted::new(refuse);
        let lost = tokio::time::timeout(LEASE_TIMEOUT * 10, extend_until_lost(&lease, began)).await;
        assert!(lost.is_ok(), "the holder goes on after its lease lapsed");
        assert!(began.elapsed() <= LEASE_TIMEOUT + EXTEND_INTERVAL, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn only_an_extension_that_succeeded_prolongs_it() {
        let lease = Scripted::new(|call| match call {
            1 => Some(Err(StoreError::Unavailable("a test".into()))),
            2 => Some(Ok(true)),
            _ => None,
        });
        let began = Instant::now();
        extend_until_lost(&lease, began).await;
        assert_eq!((lease.calls.get(), began.elapsed()), (3, EXTEND_INTERVAL * 2 + LEASE_TIMEOUT));
    }
}
