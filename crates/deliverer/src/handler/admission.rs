//! Answers the questions that decide about a delivery: [`domain::admission`] asks them, this module looks the answers up.

use std::sync::Arc;
use std::time::Duration;

use domain::admission::{self, Admission, Candidate, Custody, Recorded, Stage, WebhookView};
use domain::delivery::attempt::Trigger;
use domain::delivery::retry::RetrySchedule;
use store::{StoreError, clock};

use crate::delivery::Delivery;
use crate::recording::delivery_lookup::DeliveryLookup;
use crate::stall_detector::StallDetector;
use crate::telemetry::{self, Operation};
use crate::webhook_cache::{CachedWebhook, WebhookCache, WebhookConfig};

/// Pause between reloads while the cached webhook is older than the message's generation.
const RELOAD_INTERVAL: Duration = Duration::from_millis(200);

/// Decides what to do with a delivery.
#[derive(Debug)]
pub(crate) struct Admitter {
    pub(crate) webhooks: Arc<WebhookCache>,
    pub(crate) lookup: DeliveryLookup,
    pub(crate) schedule: RetrySchedule,
    pub(crate) stalls: StallDetector,
}

/// The decision about a delivery that holds a permit.
#[derive(Debug)]
pub(crate) enum Permission {
    /// Attempt it, with this configuration of its webhook.
    Attempt(Arc<WebhookConfig>),
    /// Do something else.
    Refused(Admission),
}

impl Admitter {
    /// Decides about a delivery that just arrived. An attempt is due when this returns.
    pub(crate) async fn admit_on_arrival(&self, delivery: &Delivery<'_>) -> Admission {
        decide(&Inquiry { admitter: self, delivery }, &candidate_of(delivery), &self.schedule).await
    }

    /// Decides about a delivery that holds a permit. It may have waited for minutes.
    pub(crate) fn admit_with_permit(&self, delivery: &Delivery<'_>) -> Permission {
        let cached = self.webhooks.find(delivery.webhook);
        let stage = Stage::Permitted(self.custody(delivery));
        let candidate = candidate_of(delivery);
        let admission = admission::admit(&candidate, cached.view(), stage, &self.schedule, clock::now());
        match (admission, cached) {
            (Admission::Attempt { .. }, CachedWebhook::Known(webhook)) => Permission::Attempt(webhook),
            (refused, _) => Permission::Refused(refused),
        }
    }

    fn custody(&self, delivery: &Delivery<'_>) -> Custody {
        if self.stalls.stalled_since(delivery.context.received_since) {
            Custody::ProcessStalled
        } else if delivery.context.subscription_ended.is_cancelled() {
            Custody::SubscriptionEnded
        } else {
            Custody::Ours
        }
    }
}

fn candidate_of(delivery: &Delivery<'_>) -> Candidate {
    let progress = &delivery.message.progress;
    Candidate {
        generation: progress.generation,
        round: progress.round,
        recorded: progress.recorded,
        first_started: progress.first_started,
        not_before: progress.not_before,
        maybe_duplicate: delivery.context.maybe_duplicate,
        redelivered: delivery.context.redelivered,
        is_test: progress.trigger == Trigger::Test,
    }
}

/// Answers the questions about one delivery.
trait Answers {
    /// Returns the webhook as the cache has it.
    fn webhook(&self) -> WebhookView;
    /// Loads the webhooks that changed.
    async fn reload(&self) -> Result<(), StoreError>;
    /// Looks the delivery up in the database.
    async fn look_up(&self) -> Recorded;
}

/// A delivery whose questions the collaborators of an [`Admitter`] answer.
struct Inquiry<'a> {
    admitter: &'a Admitter,
    delivery: &'a Delivery<'a>,
}

impl Answers for Inquiry<'_> {
    fn webhook(&self) -> WebhookView {
        self.admitter.webhooks.find(self.delivery.webhook).view()
    }

    async fn reload(&self) -> Result<(), StoreError> {
        self.admitter.webhooks.refresh().await
    }

    async fn look_up(&self) -> Recorded {
        self.admitter.lookup.find(self.delivery.key).await
    }
}

/// Asks for the decision about a delivery that arrived, and answers its questions until there are none.
async fn decide(answers: &impl Answers, candidate: &Candidate, schedule: &RetrySchedule) -> Admission {
    let mut recorded = Recorded::NotLookedUp;
    let mut is_webhook_reloaded = false;
    let mut has_asked = false;
    loop {
        let stage = Stage::Arrived { is_webhook_reloaded, recorded };
        match admission::admit(candidate, answers.webhook(), stage, schedule, clock::now()) {
            Admission::ReloadWebhook => {
                if has_asked {
                    tokio::time::sleep(RELOAD_INTERVAL).await;
                }
                has_asked = true;
                is_webhook_reloaded = has_reloaded(answers).await;
            }
            Admission::LookUpDelivery => recorded = answers.look_up().await,
            Admission::Attempt { delay } => {
                // Honours `Retry-After` to the millisecond.
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                return Admission::Attempt { delay: Duration::ZERO };
            }
            decided => return decided,
        }
    }
}

async fn has_reloaded(answers: &impl Answers) -> bool {
    match answers.reload().await {
        Ok(()) => true,
        Err(error) => {
            telemetry::report_retry(Operation::RefreshWebhooks, &error);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use chrono::TimeDelta;
    use domain::admission::RecordedState;
    use domain::delivery::DeliveryStatus;
    use domain::webhook::WebhookStatus;
    use tokio::time::Instant;

    use super::*;

    const GENERATION: i32 = 3;

    fn candidate() -> Candidate {
        Candidate {
            generation: GENERATION,
            round: 1,
            recorded: 0,
            first_started: None,
            not_before: None,
            maybe_duplicate: false,
            redelivered: false,
            is_test: false,
        }
    }

    fn active(generation: i32) -> WebhookView {
        WebhookView::Known {
            generation,
            closed_generation: generation,
            status: WebhookStatus::Active,
            closes_as: DeliveryStatus::Held,
        }
    }

    fn pending(attempts: i32) -> Recorded {
        Recorded::State(RecordedState {
            status: DeliveryStatus::Pending,
            round: 1,
            attempts,
            first_started: None,
            next_attempt_at: None,
        })
    }

    /// Answers by functions of the number of reloads, and counts the questions.
    struct Scripted<Webhook, Reload> {
        webhook: Webhook,
        reload: Reload,
        recorded: Recorded,
        reloads: Cell<u32>,
        lookups: Cell<u32>,
    }

    impl<Webhook, Reload> Answers for Scripted<Webhook, Reload>
    where
        Webhook: Fn(u32) -> WebhookView,
        Reload: Fn(u32) -> Result<(), StoreError>,
    {
        fn webhook(&self) -> WebhookView {
            (self.webhook)(self.reloads.get())
        }

        async fn reload(&self) -> Result<(), StoreError> {
            self.reloads.set(self.reloads.get() + 1);
            (self.reload)(self.reloads.get())
        }

        async fn look_up(&self) -> Recorded {
            self.lookups.set(self.lookups.get() + 1);
            self.recorded
        }
    }

    fn scripted<Webhook, Reload>(
        webhook: Webhook,
        reload: Reload,
        recorded: Recorded,
    ) -> Scripted<Webhook, Reload>
    where
        Webhook: Fn(u32) -> WebhookView,
        Reload: Fn(u32) -> Result<(), StoreError>,
    {
        Scripted { webhook, reload, recorded, reloads: Cell::new(0), lookups: Cell::new(0) }
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable("a test".into())
    }

    const NOW: Admission = Admission::Attempt { delay: Duration::ZERO };

    #[tokio::test(start_paused = true)]
    async fn a_fresh_delivery_of_a_cached_webhook_needs_no_answer() {
        let answers = scripted(|_| active(GENERATION), |_| Ok(()), Recorded::Expired);
        let began = Instant::now();
        assert_eq!(decide(&answers, &candidate(), &RetrySchedule::default()).await, NOW);
        assert_eq!((answers.reloads.get(), answers.lookups.get()), (0, 0));
        assert!(began.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_webhook_is_reloaded_until_it_is_as_new_as_the_message() {
        // The first reload fails, the second finds the database behind, the third brings the generation.
        let webhook = |reloads| active(if reloads >= 3 { GENERATION } else { GENERATION - 1 });
        let reload = |reloads| if reloads == 1 { Err(unavailable()) } else { Ok(()) };
        let answers = scripted(webhook, reload, Recorded::Expired);
        let began = Instant::now();
        assert_eq!(decide(&answers, &candidate(), &RetrySchedule::default()).await, NOW);
        assert_eq!((answers.reloads.get(), began.elapsed()), (3, RELOAD_INTERVAL * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_webhook_is_gone_only_after_a_reload_that_worked() {
        let reload = |reloads| if reloads <= 2 { Err(unavailable()) } else { Ok(()) };
        let answers = scripted(|_| WebhookView::Gone, reload, Recorded::Expired);
        let decided = decide(&answers, &candidate(), &RetrySchedule::default()).await;
        assert_eq!((decided, answers.reloads.get()), (Admission::End(DeliveryStatus::Discarded), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_in_doubt_is_looked_up_once() {
        let in_doubt = Candidate { maybe_duplicate: true, ..candidate() };
        for (recorded, expected) in [
            (pending(0), NOW),
            (pending(1), Admission::AlreadyHandled),
            (Recorded::Expired, Admission::Expired),
        ] {
            let answers = scripted(|_| active(GENERATION), |_| Ok(()), recorded);
            let decided = decide(&answers, &in_doubt, &RetrySchedule::default()).await;
            assert_eq!((decided, answers.lookups.get()), (expected, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_that_is_a_little_early_waits_here_and_one_that_is_earlier_goes_back() {
        let answers = scripted(|_| active(GENERATION), |_| Ok(()), Recorded::Expired);
        let early = |millis| Candidate {
            not_before: Some(clock::now() + TimeDelta::milliseconds(millis)),
            ..candidate()
        };
        // The wall clock of the delivery goes on while the clock of the runtime stands still.
        let waited = loop {
            let (began, wall) = (Instant::now(), clock::now());
            assert_eq!(decide(&answers, &early(40), &RetrySchedule::default()).await, NOW);
            let waited = began.elapsed();
            if clock::now() - wall < TimeDelta::milliseconds(30) {
                break waited.as_millis();
            }
        };
        assert!((1..=41).contains(&waited), "{waited} ms");
        let earlier = early(5_000);
        let decided = decide(&answers, &earlier, &RetrySchedule::default()).await;
        assert_eq!(decided, Admission::WaitUntil(earlier.not_before.expect("planned")));
    }
}
