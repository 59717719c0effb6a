//! Attempts retries from the database whose message has not come.

use std::collections::HashMap;

use domain::ids::WebhookId;
use domain::redelivery_pacing::{MIN_OVERDUE, Pace};
use domain::time::Timestamp;
use futures_util::{StreamExt, stream};
use store::delivery::orphaned::{self, PendingDelivery};
use store::delivery::record::DeliveryKey;
use store::{StoreError, clock};

use crate::delivery::DeliveryContext;
use crate::delivery::messages::pending_message;
use crate::limiter::EndpointLimiter;
use crate::redelivery::Redeliverer;

/// Retries that are remembered in one run. Bounds memory.
const MAX_REMEMBERED: usize = 10_000;

/// The retries that were attempted in this run, each with the time for which it was planned. If an attempt could not be
/// recorded, its retry is still due; it is not attempted again before the next run.
#[derive(Debug, Default)]
pub(crate) struct OverdueRetries(HashMap<DeliveryKey, Option<Timestamp>>);

impl OverdueRetries {
    /// Attempts a page of the overdue retries. Returns how many were handled.
    pub(crate) async fn send_page(
        &mut self,
        redeliverer: &Redeliverer,
        webhook: WebhookId,
        limiter: &EndpointLimiter,
        pace: Pace,
    ) -> Result<usize, StoreError> {
        let due_before = clock::now() - MIN_OVERDUE;
        let since = redeliverer.retry_floors.floor_of(webhook);
        let limit = i64::from(pace.retries);
        let page =
            orphaned::find_overdue_retries(&redeliverer.store, webhook, since, due_before, limit).await?;
        // The message of some retries has come meanwhile.
        let due = self.select_new(webhook, page, |key| redeliverer.deliverer.is_in_flight(key));
        let attempts = stream::iter(due).map(async |delivery| {
            let message = pending_message(delivery);
            let context = DeliveryContext::from_database();
            redeliverer.deliverer.deliver(webhook, &message, context, limiter).await
        });
        let handled = attempts
            .buffer_unordered(pace.retries.into())
            .filter(|outcome| std::future::ready(outcome.is_handled()))
            .count();
        Ok(handled.await)
    }

    /// Selects the retries that are not in flight, and were not attempted for the same planned time.
    fn select_new(
        &mut self,
        webhook: WebhookId,
        mut page: Vec<PendingDelivery>,
        is_in_flight: impl Fn(&DeliveryKey) -> bool,
    ) -> Vec<PendingDelivery> {
        page.retain(|delivery| {
            let key = DeliveryKey { webhook, created: delivery.created, event: delivery.event };
            let planned = delivery.next_attempt_at;
            !is_in_flight(&key) && self.0.insert(key, planned) != Some(planned)
        });
        if self.0.len() > MAX_REMEMBERED {
            self.0.clear();
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::delivery::envelope::EventData;
    use domain::ids::EventId;
    use uuid::Uuid;

    use super::*;

    fn planned(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn retry(number: u128, next_attempt_at: Option<Timestamp>) -> PendingDelivery {
        PendingDelivery {
            created: Timestamp::UNIX_EPOCH,
            event: EventId::from_uuid(Uuid::from_u128(number)),
            brand_id: "acme".parse().expect("a brand"),
            event_type: "ORDER.PAID".parse().expect("a type"),
            generation: 1,
            round: 1,
            attempts: 1,
            round_base: 0,
            first_attempt_at: Some(Timestamp::UNIX_EPOCH),
            next_attempt_at,
            data: EventData::Inline("{}".into()),
        }
    }

    fn webhook() -> WebhookId {
        WebhookId(Uuid::from_u128(7))
    }

    /// The events of the selected retries, as numbers.
    fn selected(
        retries: &mut OverdueRetries,
        page: Vec<PendingDelivery>,
        is_in_flight: impl Fn(&DeliveryKey) -> bool,
    ) -> Vec<u128> {
        let page = retries.select_new(webhook(), page, is_in_flight);
        page.iter().map(|delivery| delivery.event.to_uuid().as_u128()).collect()
    }

    #[test]
    fn a_retry_is_attempted_once_for_each_planned_time() {
        let mut retries = OverdueRetries::default();
        let page = || vec![retry(1, Some(planned(5))), retry(2, Some(planned(5)))];
        assert_eq!(selected(&mut retries, page(), |_| false), [1, 2]);
        assert!(selected(&mut retries, page(), |_| false).is_empty(), "their attempts are not recorded yet");
        let later = vec![retry(1, Some(planned(35))), retry(2, Some(planned(5)))];
        assert_eq!(selected(&mut retries, later, |_| false), [1], "only the first was recorded");
    }

    #[test]
    fn a_retry_whose_message_came_is_left_to_it_and_attempted_if_it_is_still_due_afterwards() {
        let mut retries = OverdueRetries::default();
        let page = || vec![retry(1, Some(planned(5)))];
        assert!(selected(&mut retries, page(), |_| true).is_empty());
        assert_eq!(selected(&mut retries, page(), |_| false), [1]);
    }

    #[test]
    fn the_memory_of_a_run_is_bounded() {
        let mut retries = OverdueRetries::default();
        let many = u128::try_from(MAX_REMEMBERED).expect("a number") + 1;
        let page = (0..many).map(|number| retry(number, None)).collect();
        assert_eq!(selected(&mut retries, page, |_| false).len(), MAX_REMEMBERED + 1);
        assert!(retries.0.is_empty(), "it is cleared");
    }
}
