//! Sends from the database instead of the webhook's queue: retries that are overdue, and what brands and support asked
//! to be sent again.
//!
//! A retry comes back to the end of its webhook's queue. Where more waits there than the window lasts, it would come
//! too late; where its wait queue or the webhook's queue stores nothing, it would not come at all. So it is attempted
//! from here once it is overdue, before all first attempts. Its message, if there is one, is dropped when it comes,
//! because the database then knows of the attempt.
//!
//! Redeliveries would hold up fresh events in the queue; here they take half of the webhook's lane at most, so that
//! fresh ones keep their latency. Whatever is interrupted is found again: a delivery stays in the queue of redeliveries
//! until its attempt is recorded, a job stands where its deliveries were put there.

use std::collections::HashMap;
use std::time::Instant;

use broker::wire::{DeliveryMessage, Progress};
use chrono::TimeDelta;
use domain::ids::WebhookId;
use domain::request::EventHead;
use domain::time::Timestamp;
use futures_util::{StreamExt, stream};
use store::clock;
use store::record::DeliveryKey;
use store::redeliveries::{self, Done, Due, DueDelivery};
use store::redelivery_claims::{self, EXTEND_EVERY, HELD_FOR};
use store::stranded::{self, Stranded};
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::consumer::worker::Shared;
use crate::delivery::{Handled, Receipt};
use crate::limiter::Lane;
use crate::{repair, telemetry};

/// Deliveries handled at once for each request that may be in flight: while some are sent, others are
/// recorded.
const HANDLED_FACTOR: u16 = 4;
/// A retry whose message has not come for this long is attempted from the database: in a webhook's queue without a
/// backlog it comes within less than a second.
pub(crate) const OVERDUE_AFTER: TimeDelta = TimeDelta::seconds(2);
/// Retries that are remembered in one run: bounds memory.
const MAX_REMEMBERED: usize = 10_000;
/// Deliveries taken at once for each that is handled: the fewer pages, the fewer pauses between them.
const PAGE_FACTOR: u16 = 4;

/// Sends all that a webhook is to be sent from the database, until nothing is left or the lane closes. What fails
/// is left to the next look, and so is everything while another worker is at it: two would press the
/// endpoint twice as hard as it may be. It ends with `active`, for then another replica sends fresh events.
pub(crate) async fn send(
    shared: &Shared,
    webhook: WebhookId,
    lane: &Lane,
    active: &CancellationToken,
    max_concurrency: u16,
) {
    let store = &shared.handler.store;
    let claim = Claim { store, webhook, holder: Uuid::new_v4() };
    let asked = Instant::now();
    match claim.take().await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return telemetry::step_failed("claim", &error),
    }
    let lane = lane.child();
    let losing = async {
        tokio::select! { () = claim.lost(asked) => {}, () = active.cancelled() => {} }
        // What is in flight is finished: its attempts are recorded.
        lane.close();
        std::future::pending::<()>().await;
    };
    tokio::select! { () = send_all(shared, webhook, &lane, max_concurrency) => {}, () = losing => {} }
    if let Err(error) = redelivery_claims::release(store, webhook, claim.holder).await {
        telemetry::step_failed("release", &error);
    }
}

/// The right to send to a webhook from the database.
struct Claim<'a> {
    store: &'a Store,
    webhook: WebhookId,
    /// Drawn for each run: a worker that ends and the next one of the same process are two.
    holder: Uuid,
}

impl Claim<'_> {
    /// Takes or extends it; false when another has it.
    async fn take(&self) -> Result<bool, StoreError> {
        redelivery_claims::claim(self.store, self.webhook, self.holder).await
    }

    /// Extends it, until another has it or may have it: it was last asked for successfully at `asked`.
    async fn lost(&self, mut asked: Instant) {
        loop {
            tokio::time::sleep(EXTEND_EVERY).await;
            let now = Instant::now();
            match tokio::time::timeout_at((asked + HELD_FOR).into(), self.take()).await {
                Ok(Ok(true)) => asked = now,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => telemetry::step_failed("claim", &error),
            }
        }
    }
}

async fn send_all(shared: &Shared, webhook: WebhookId, lane: &Lane, max_concurrency: u16) {
    let share = (max_concurrency / 2).max(1);
    let shared_lane = lane.shared(share);
    let handled = share.saturating_mul(HANDLED_FACTOR);
    let page = i64::from(handled.saturating_mul(PAGE_FACTOR));
    let mut retries = Retries::default();
    while !lane.is_closing() {
        // Page by page in turn, so that neither keeps the other waiting for long.
        let Some(retried) = retries.send_page(shared, webhook, lane, max_concurrency).await else { return };
        match next_page(shared, webhook, page).await {
            Ok(due) if due.is_empty() && retried == 0 => return,
            Ok(due) if due.is_empty() => {}
            Ok(due) => {
                let done = attempt_all(shared, webhook, &shared_lane, handled.into(), due).await;
                if let Err(error) = redeliveries::done(&shared.handler.store, webhook, &done).await {
                    return telemetry::step_failed("redelivered", &error);
                }
            }
            Err(error) => return telemetry::step_failed("redeliver", &error),
        }
    }
}

/// The retries that were attempted in this run, each with the time for which it was planned: one whose attempt could
/// not be recorded is still due, and is not attempted again before the next run.
#[derive(Default)]
struct Retries(HashMap<DeliveryKey, Option<Timestamp>>);

impl Retries {
    /// Attempts a page of the retries that are overdue. How many were dealt with; `None` when the database failed.
    async fn send_page(
        &mut self,
        shared: &Shared,
        webhook: WebhookId,
        lane: &Lane,
        max_concurrency: u16,
    ) -> Option<usize> {
        let handled = max_concurrency.saturating_mul(HANDLED_FACTOR);
        let due_before = clock::now() - OVERDUE_AFTER;
        let page = stranded::retries_due(&shared.handler.store, webhook, due_before, handled.into()).await;
        let mut due = match page {
            Ok(due) => due,
            Err(error) => {
                telemetry::step_failed("retries", &error);
                return None;
            }
        };
        // Of some the message came meanwhile.
        due.retain(|delivery| {
            let key = key(webhook, delivery);
            let planned = delivery.next_attempt_at;
            !shared.handler.in_flight.contains(&key) && self.0.insert(key, planned) != Some(planned)
        });
        if self.0.len() > MAX_REMEMBERED {
            self.0.clear();
        }
        let attempts = stream::iter(due).map(async |delivery| {
            let message = repair::lost_queue::message(delivery);
            shared.handler.deliver(webhook, &message, from_database(), lane).await
        });
        let dealt_with =
            |handled: &Handled| std::future::ready(!matches!(handled, Handled::GiveBack | Handled::Doubted));
        Some(attempts.buffer_unordered(handled.into()).filter(dealt_with).count().await)
    }
}

fn key(webhook: WebhookId, delivery: &Stranded) -> DeliveryKey {
    DeliveryKey { webhook, created: delivery.created, event: delivery.event }
}

/// Another replica may have had it before. When it is no longer ours, the lane is closed.
fn from_database() -> Receipt {
    let (since, lasts) = (Instant::now(), CancellationToken::new());
    Receipt { uncertain: true, redelivered: false, since, lasts }
}

/// The next deliveries; when none is left, those to which the oldest job leads.
async fn next_page(shared: &Shared, webhook: WebhookId, page: i64) -> Result<Vec<Due>, StoreError> {
    let store = &shared.handler.store;
    loop {
        let due = redeliveries::take(store, webhook, page).await?;
        if !due.is_empty() || !walk(shared, store, webhook, page).await? {
            return Ok(due);
        }
    }
}

/// Walks the oldest job on; false when there is none, or when it has to wait: of a webhook that was just
/// enabled again, what waited before may not all be held yet.
async fn walk(shared: &Shared, store: &Store, webhook: WebhookId, page: i64) -> Result<bool, StoreError> {
    if shared.handler.directory.get(webhook).is_none_or(|target| target.is_unsettled()) {
        return Ok(false);
    }
    let Some(job) = redeliveries::next_job(store, webhook).await? else { return Ok(false) };
    redeliveries::walk(store, webhook, &job, page).await?;
    Ok(true)
}

/// Attempts deliveries, `most` at once. Those that were given back are not among the answer.
async fn attempt_all(
    shared: &Shared,
    webhook: WebhookId,
    lane: &Lane,
    most: usize,
    due: Vec<Due>,
) -> Vec<Done> {
    let attempts = stream::iter(due).map(async |due| {
        let (created, event, round) = (due.created, due.event, due.round);
        let handled = match message(due) {
            Some(message) => shared.handler.deliver(webhook, &message, from_database(), lane).await,
            None => Handled::Settled,
        };
        let delivered = handled == Handled::Attempted { delivered: true };
        let dealt_with = !matches!(handled, Handled::GiveBack | Handled::Doubted);
        dealt_with.then_some(Done { created, event, round, delivered })
    });
    attempts.buffer_unordered(most).filter_map(std::future::ready).collect().await
}

/// The message that the first attempt of the round is made from; `None` when the event has expired.
fn message(due: Due) -> Option<DeliveryMessage> {
    let DueDelivery { trigger, brand_id, event_type, generation, round_base, data } = due.delivery?;
    let progress =
        Progress { round: due.round, recorded: round_base, trigger, ..Progress::fresh(generation) };
    let head = EventHead { id: due.event, brand_id, created: due.created, event_type };
    Some(DeliveryMessage { progress, head, data: data.into() })
}
