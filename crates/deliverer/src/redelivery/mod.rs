//! Sends deliveries from the database instead of the webhook's queue: retries that are overdue, and redeliveries that
//! brands and support asked for.
//!
//! A retry comes back to the end of its webhook's queue. If the queue holds more than the window lasts, the retry would
//! come too late; if its delay queue or the webhook's queue stores nothing, it would not come at all. So it is attempted
//! from here once it is overdue, before all first attempts. If its message comes later, it is dropped, because the
//! database then knows of the attempt.
//!
//! Redeliveries would hold up fresh events in the queue. Here they take half of the webhook's permits at most, so that
//! fresh events keep their latency. An interrupted run loses nothing: a delivery stays in the queue of redeliveries until
//! its attempt is recorded, and a job stands where it put its last deliveries there.
//!
//! One replica at a time sends from the database, by a [`lease`]. Two would send the endpoint twice as much as its limits
//! allow. [`domain::redelivery_pacing`] decides how much is sent at once.

mod lease;
mod overdue_retries;
mod requested;

use std::sync::Arc;

use domain::ids::WebhookId;
use domain::redelivery_pacing::{Pace, is_exhausted};
use store::Store;
use store::delivery::search_floors::SearchFloors;
use tokio_util::sync::CancellationToken;

use crate::handler::Deliverer;
use crate::limiter::EndpointLimiter;
use crate::telemetry::{self, Operation};
use crate::webhook_cache::WebhookCache;
use lease::Lease;
use overdue_retries::OverdueRetries;
use requested::RequestedDeliveries;

/// Sends deliveries from the database.
#[derive(Debug)]
pub(crate) struct Redeliverer {
    pub(crate) store: Store,
    /// For leases, which no other statement may delay: a lease that is not extended lapses.
    pub(crate) leases: Store,
    /// From where overdue retries are searched for.
    pub(crate) retry_floors: SearchFloors,
    pub(crate) webhooks: Arc<WebhookCache>,
    pub(crate) deliverer: Arc<Deliverer>,
}

impl Redeliverer {
    /// Sends all deliveries that a webhook is due from the database, until none is left or the limiter closes. Failures
    /// are left to the next run, and so is everything while another worker holds the lease. The run ends with `ended`,
    /// because another replica then sends the fresh events.
    pub(crate) async fn send_all(
        &self,
        webhook: WebhookId,
        limiter: &EndpointLimiter,
        ended: &CancellationToken,
        concurrency: u16,
    ) {
        let lease = match Lease::claim(&self.leases, webhook).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return,
            Err(error) => return telemetry::report_retry(Operation::ClaimRedelivery, &error),
        };
        let limiter = limiter.child();
        let losing = async {
            tokio::select! { () = lease.wait_until_lost() => {}, () = ended.cancelled() => {} }
            // Requests in flight are finished, and their attempts recorded.
            limiter.close();
            std::future::pending::<()>().await;
        };
        let pace = Pace::for_concurrency(concurrency);
        tokio::select! { () = self.send_pages(webhook, &limiter, pace) => {}, () = losing => {} }
        if let Err(error) = lease.release().await {
            telemetry::report_retry(Operation::ReleaseRedelivery, &error);
        }
    }

    /// Sends a page of each kind in turn, so that neither keeps the other waiting for long.
    async fn send_pages(&self, webhook: WebhookId, limiter: &EndpointLimiter, pace: Pace) {
        let share = limiter.with_share(pace.redelivery_permits);
        let mut retries = OverdueRetries::default();
        let mut requested = RequestedDeliveries::new(self, webhook, pace);
        while !limiter.is_closing() {
            let retried = match retries.send_page(self, webhook, limiter, pace).await {
                Ok(retried) => retried,
                Err(error) => return telemetry::report_retry(Operation::FindOverdueRetries, &error),
            };
            let due = match requested.next_page().await {
                Ok(due) => due,
                Err(error) => return telemetry::report_retry(Operation::LoadRedelivery, &error),
            };
            if is_exhausted(retried, due.len()) {
                return;
            }
            if due.is_empty() {
                continue;
            }
            if let Err(error) = requested.send_page(&share, due).await {
                return telemetry::report_retry(Operation::CompleteRedelivery, &error);
            }
        }
    }
}
