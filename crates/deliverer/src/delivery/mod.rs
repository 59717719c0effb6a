//! One delivery out of a message of a webhook's queue, from receipt to acknowledgement.
//!
//! The order is the promise: attempt, record, queue what follows, and only then acknowledge. The
//! process may die between any two steps; the message comes again, marked as redelivered, and what
//! the database says decides where to go on.

pub(crate) mod address_guard;
pub mod client;
pub(crate) mod exchange;
pub(crate) mod in_flight;
pub(crate) mod request;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use broker::wire::{self, DeliveryMessage, InvalidDelivery, Progress};
use broker::{Message, Namespace, Outgoing, Publisher, Route};
use chrono::TimeDelta;
use domain::delivery::{self, DeliveryStatus, Verdict};
use domain::ids::{AttemptId, WebhookId};
use domain::outcome::{Facts, Outcome, Trigger};
use domain::retry::RetrySchedule;
use domain::time::{Timestamp, whole_millis};
use runtime::progress;
use runtime::retry::Backoff;
use runtime::tasks;
use runtime::traces::{Span, SpanKind, Traces};
use store::Store;
use store::clock;
use store::record::{self, AttemptRecord, DeliveryKey};
use tokio_util::sync::CancellationToken;

use crate::delivery::client::Client;
use crate::delivery::in_flight::InFlight;
use crate::delivery::request::Signed;
use crate::health::Health;
use crate::limiter::{Lane, Turn, Urgency};
use crate::recording::attempt_recorder::Recorder;
use crate::recording::delivery_lookup::Standings;
use crate::retry_queue::Waits;
use crate::stall_detector::Pulse;
use crate::telemetry;
use crate::webhook_cache::{Directory, Known, Target};

/// A message that comes this much early is not sent back to wait, but waits here: the clocks of two machines,
/// and the time between deciding and publishing, explain it.
const EARLY: Duration = Duration::from_millis(50);
/// Trial of a redelivered message after a webhook's configuration was found to be older than it.
const REFRESH_EVERY: Duration = Duration::from_millis(200);

/// All that handling a message needs.
pub(crate) struct Handler {
    pub(crate) store: Store,
    pub(crate) publisher: Publisher,
    pub(crate) names: Namespace,
    pub(crate) directory: Arc<Directory>,
    pub(crate) recorder: Recorder,
    pub(crate) standings: Standings,
    pub(crate) waits: Waits,
    pub(crate) client: Client,
    pub(crate) request_timeout: Duration,
    pub(crate) schedule: RetrySchedule,
    pub(crate) traces: Traces,
    pub(crate) in_flight: InFlight,
    pub(crate) pulse: Pulse,
    /// Deliveries that end without a further attempt.
    pub(crate) finishing: progress::Progress,
    pub(crate) health: Health,
}

/// What handling a message comes to.
enum Step {
    /// Nothing is left to do.
    Done,
    /// This process cannot read the webhook, such as for want of its master key.
    GiveBack,
    /// It waits until the instant, with this progress.
    Wait(Progress, Timestamp),
    /// An attempt is due now.
    Attempt,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    /// An attempt was made and recorded, its successor confirmed: the message may be acknowledged.
    Attempted {
        /// Whether it succeeded.
        delivered: bool,
    },
    /// It needs no attempt now, and what it needs is recorded or confirmed: it may be acknowledged.
    Settled,
    /// Nothing was done: it goes to another replica.
    GiveBack,
    /// Nothing was done, for the process stood still since it took the message: another may have it.
    Doubted,
}

/// How a delivery came here.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    /// Whether someone may have acted on it before.
    pub(crate) uncertain: bool,
    /// Whether the broker handed its message out before: a process may have died between recording an attempt and
    /// queueing the next.
    pub(crate) redelivered: bool,
    /// Since when it may be here: when its subscription began, or when it was read.
    pub(crate) since: Instant,
    /// Cancelled when it is no longer ours: its subscription ended, and the broker hands it out again.
    pub(crate) lasts: CancellationToken,
}

/// One delivery on its way through the steps.
struct Delivery<'a> {
    webhook: WebhookId,
    message: &'a DeliveryMessage,
    key: DeliveryKey,
    receipt: Receipt,
}

impl Receipt {
    /// The same, of one of the deliveries of a message.
    pub(crate) fn of(&self, delivery: &DeliveryMessage) -> Self {
        let progress = &delivery.progress;
        let uncertain = self.uncertain || progress.repeated || progress.trigger != Trigger::Fresh;
        Self { uncertain, ..self.clone() }
    }
}

impl Handler {
    /// Takes out what a message holds: nothing when it says nothing, and when it is no delivery of ours; that is
    /// set aside.
    pub(crate) async fn read(&self, message: &mut Message) -> Vec<DeliveryMessage> {
        if message.is_probe() {
            return Vec::new();
        }
        let body = std::mem::take(&mut message.body);
        match wire::decode(&body) {
            Ok(deliveries) => deliveries,
            Err(error) => {
                self.set_aside(message, body, &error).await;
                Vec::new()
            }
        }
    }

    /// Takes a delivery one step on, wherever it came from.
    pub(crate) async fn deliver(
        &self,
        webhook: WebhookId,
        message: &DeliveryMessage,
        mut receipt: Receipt,
        lane: &Lane,
    ) -> Handled {
        let key = DeliveryKey { webhook, created: message.head.created, event: message.head.id };
        // A lost connection hands a message out again while its attempt is still running here.
        let (_guard, waited) = self.in_flight.enter(key).await;
        receipt.uncertain |= waited;
        // The handler before, in this process, queues what follows from its attempt.
        receipt.redelivered &= !waited;
        let delivery = Delivery { webhook, message, key, receipt };
        match self.next_step(&delivery).await {
            Step::Done => Handled::Settled,
            Step::GiveBack => Handled::GiveBack,
            Step::Wait(progress, until) => {
                self.wait(&delivery, &progress, until).await;
                Handled::Settled
            }
            Step::Attempt => self.attempt_in_lane(&delivery, lane).await,
        }
    }

    /// What a message asks for, by what is known of the webhook and of the delivery.
    async fn next_step(&self, delivery: &Delivery<'_>) -> Step {
        let progress = &delivery.message.progress;
        let settles = match self.target(delivery.webhook, progress.generation).await {
            Known::Target(target) => target.settles(progress.generation),
            Known::Unreadable => return Step::GiveBack,
            Known::Gone => Some(DeliveryStatus::Discarded),
        };
        if let Some(status) = settles {
            self.finish(delivery, status).await;
            return Step::Done;
        }
        if delivery.receipt.uncertain
            && let Some(step) = self.known_already(delivery).await
        {
            return step;
        }
        let now = clock::now();
        if self.is_too_late(progress, now) {
            self.finish(delivery, DeliveryStatus::Failed).await;
            return Step::Done;
        }
        match progress.not_before.filter(|at| self.schedule.may_start(now, *at)) {
            Some(at) if at - now > TimeDelta::from_std(EARLY).unwrap_or_default() => {
                Step::Wait(progress.clone(), at)
            }
            Some(at) => {
                // An endpoint that said how long it wants to be left alone is: already over, this is no wait.
                tokio::time::sleep((at - now).to_std().unwrap_or_default()).await;
                Step::Attempt
            }
            // No attempt is planned further ahead than the window is long: a clock was wrong when this one was.
            None => Step::Attempt,
        }
    }

    /// Whether the window in which attempts may start is over.
    fn is_too_late(&self, progress: &Progress, now: Timestamp) -> bool {
        progress.first_started.is_some_and(|first| !self.schedule.may_start(first, now))
    }

    /// The webhook, no older than the message: it may be newer than what was loaded last.
    async fn target(&self, webhook: WebhookId, generation: i32) -> Known {
        let is_new = |known: &Known| match known {
            Known::Target(target) => target.generation >= generation,
            Known::Unreadable | Known::Gone => false,
        };
        loop {
            let known = self.directory.find(webhook);
            if is_new(&known) {
                return known;
            }
            match self.directory.refresh().await {
                Ok(()) => {
                    let known = self.directory.find(webhook);
                    if !matches!(known, Known::Target(_)) || is_new(&known) {
                        return known;
                    }
                }
                Err(error) => telemetry::step_failed("refresh", &error),
            }
            tokio::time::sleep(REFRESH_EVERY).await;
        }
    }

    /// For a message that may be a repetition: what is left to do when the database knows more
    /// than the message does. `None` when the message is up to date.
    async fn known_already(&self, delivery: &Delivery<'_>) -> Option<Step> {
        let progress = &delivery.message.progress;
        let Some(full) = self.standings.of(delivery.key).await else { return Some(Step::Done) };
        let superseded =
            full.standing.round > progress.round || full.standing.status != DeliveryStatus::Pending;
        if superseded {
            telemetry::repetition_skipped();
            return Some(Step::Done);
        }
        if full.attempts <= progress.recorded {
            return None;
        }
        telemetry::repetition_skipped();
        // Another message, or the database, led to the attempt: its handler queues what follows from it.
        if !delivery.receipt.redelivered {
            return Some(Step::Done);
        }
        // The process may have died before it queued what follows: queued twice is safe.
        let Some(next) = full.next_attempt_at else { return Some(Step::Done) };
        Some(Step::Wait(successor(progress, full.first_attempt_at, full.attempts, next), next))
    }

    /// Waits for its turn, and looks again: the webhook may have stopped receiving meanwhile, the window may
    /// be over, or another may have been given the message, since this process stood still or its subscription ended.
    async fn attempt_in_lane(&self, delivery: &Delivery<'_>, lane: &Lane) -> Handled {
        let urgency = match delivery.message.progress.trigger {
            Trigger::Retry => Urgency::Retry,
            _ => Urgency::Normal,
        };
        let Some(turn) = lane.turn(urgency).await else { return Handled::GiveBack };
        if self.pulse.missed_since(delivery.receipt.since) {
            return Handled::Doubted;
        }
        if delivery.receipt.lasts.is_cancelled() {
            return Handled::GiveBack;
        }
        let target = match self.directory.find(delivery.webhook) {
            Known::Target(target) => target,
            Known::Unreadable => return Handled::GiveBack,
            Known::Gone => {
                drop(turn);
                self.finish(delivery, DeliveryStatus::Discarded).await;
                return Handled::Settled;
            }
        };
        let progress = &delivery.message.progress;
        let too_late = self.is_too_late(progress, clock::now());
        match target.settles(progress.generation).or(too_late.then_some(DeliveryStatus::Failed)) {
            None => {
                let delivered = self.attempt(delivery, &target, turn).await;
                Handled::Attempted { delivered }
            }
            Some(status) => {
                drop(turn);
                self.finish(delivery, status).await;
                Handled::Settled
            }
        }
    }

    /// One attempt and all that follows from it; whether it succeeded. The turn ends with the request:
    /// recording holds up nobody.
    async fn attempt(&self, delivery: &Delivery<'_>, target: &Target, turn: Turn) -> bool {
        let progress = &delivery.message.progress;
        let attempt = AttemptId::draw(u64::try_from(clock::now().timestamp_millis()).unwrap_or(0));
        let started = whole_millis(clock::now());
        let clock = Instant::now();
        let span = self.span(delivery, attempt);
        let signed = Signed { target, webhook: delivery.webhook, attempt, at: started };
        let request = signed.request(delivery.message, span.as_ref());
        let facts = {
            let _in_flight = telemetry::in_flight();
            let sending = exchange::send(&self.client, request, self.request_timeout);
            // What an endpoint answers may end its own attempt, and nobody else's.
            tasks::contain(sending).await.unwrap_or_else(|_| exchange::panicked())
        };
        end(span, &facts);
        let delivered = facts.outcome == Outcome::Delivered;
        // No further request before the webhook is disabled, which comes with what follows.
        let _halted = match delivery::is_gone(&facts) {
            true => Some(turn.halt()),
            false => {
                turn.end(delivered);
                None
            }
        };
        let took = clock.elapsed();
        let ended = whole_millis(clock::now());
        telemetry::AttemptEnded {
            webhook: delivery.webhook,
            event: delivery.key.event,
            attempt: progress.attempt,
            trigger: progress.trigger,
            facts: &facts,
            seconds: took.as_secs_f64(),
        }
        .emit();
        let first_started = progress.first_started.unwrap_or(started);
        let verdict = delivery::after_attempt(&self.schedule, progress.attempt, first_started, ended, &facts);
        let record = AttemptRecord {
            key: delivery.key,
            round: progress.round,
            attempt,
            started,
            first_started,
            ended,
            duration_ms: i32::try_from(took.as_millis()).unwrap_or(i32::MAX),
            facts,
            trigger: progress.trigger,
            status: verdict.status(),
            next_attempt_at: verdict.next_attempt_at(),
        };
        self.follow_up(delivery, target, record, verdict).await;
        delivered
    }

    /// The span of an attempt, where there is somebody to send it to. By this machine's clock, as it ends.
    fn span(&self, delivery: &Delivery<'_>, attempt: AttemptId) -> Option<Span> {
        let progress = &delivery.message.progress;
        let parent = progress.trace.as_ref().map(ToString::to_string);
        let mut span = self.traces.span("deliver event", SpanKind::Client, parent, SystemTime::now())?;
        span.note("postrider.event.id", delivery.key.event.to_string());
        span.note("postrider.webhook", delivery.webhook.to_string());
        span.note("postrider.attempt.id", attempt.to_string());
        span.note("postrider.attempt", i64::from(progress.attempt));
        Some(span)
    }

    /// Records the attempt, then queues what follows.
    async fn follow_up(
        &self,
        delivery: &Delivery<'_>,
        target: &Target,
        record: AttemptRecord,
        verdict: Verdict,
    ) {
        let (first_started, ended) = (record.first_started, record.ended);
        let standing = self.recorder.record(record).await;
        tell(delivery, verdict.status(), ended);
        match verdict.disable {
            Some(reason) => self.health.gone(target, reason).await,
            None if verdict.status() != DeliveryStatus::Delivered => self.health.look_at(delivery.webhook),
            None => {}
        }
        let progress = &delivery.message.progress;
        let goes_on =
            standing.is_some_and(|s| s.status == DeliveryStatus::Pending && s.round == progress.round);
        if let (Some(at), true) = (verdict.next_attempt_at(), goes_on) {
            let next = successor(progress, Some(first_started), progress.recorded + 1, at);
            self.wait(delivery, &next, at).await;
        }
    }

    /// Puts a delivery into a wait queue; it comes back by itself.
    async fn wait(&self, delivery: &Delivery<'_>, progress: &Progress, until: Timestamp) {
        let body = wire::encode(progress, &delivery.message.head, &delivery.message.data);
        self.waits.put(delivery.webhook, body, until).await;
    }

    /// Ends a delivery without a further attempt. When its window ran out on the way, then because we were
    /// late: that does not count against the webhook.
    async fn finish(&self, delivery: &Delivery<'_>, status: DeliveryStatus) {
        let round = delivery.message.progress.round;
        let in_hand = self.finishing.begin();
        let mut backoff = Backoff::default();
        let ended = loop {
            match record::finish(&self.store, delivery.key, round, status).await {
                Ok(ended) => break ended,
                Err(error) => telemetry::step_failed("finish", &error),
            }
            backoff.wait().await;
        };
        in_hand.done();
        if ended {
            telemetry::delivery_ended(status);
        }
    }

    /// Something that is no delivery of ours goes to the rejected ones, whole, for support to see.
    async fn set_aside(&self, message: &Message, body: Vec<u8>, error: &InvalidDelivery) {
        telemetry::step_failed("decode", error);
        let refused = Outgoing {
            body,
            message_id: message.message_id.clone(),
            headers: vec![
                ("x-reject-reason", "invalid_delivery".to_owned()),
                ("x-reject-detail", format!("found in the queue of webhook {}: {error}", message.key)),
            ],
            ..Outgoing::default()
        };
        let exchange = self.names.rejected();
        let route = Route { exchange: &exchange, key: "" };
        let mut backoff = Backoff::default();
        while let Err(error) = self.publisher.publish_mandatory(route, &refused).await {
            telemetry::step_failed("set_aside", &error);
            backoff.wait().await;
        }
    }
}

/// A message for deliveries that may be in another message, too.
pub(crate) fn repeated(deliveries: Vec<DeliveryMessage>) -> Outgoing {
    let encode = |delivery: DeliveryMessage| {
        let progress = Progress { repeated: true, ..delivery.progress };
        wire::encode(&progress, &delivery.head, &delivery.data)
    };
    Outgoing::new(wire::join(deliveries.into_iter().map(encode).collect()))
}

/// Tells that a delivery ended, and how long it took when it arrived by itself.
fn tell(delivery: &Delivery<'_>, status: DeliveryStatus, at: Timestamp) {
    let progress = &delivery.message.progress;
    if status != DeliveryStatus::Pending {
        telemetry::delivery_ended(status);
    }
    let by_itself = progress.round == 1 && matches!(progress.trigger, Trigger::Fresh | Trigger::Retry);
    if status == DeliveryStatus::Delivered && by_itself {
        let (created, received) = (delivery.message.head.created, progress.received);
        telemetry::Arrived { trigger: progress.trigger, created, received, at }.emit();
    }
}

/// Ends the span of an attempt with how it went.
fn end(span: Option<Span>, facts: &Facts) {
    let Some(mut span) = span else { return };
    span.note("postrider.outcome", facts.outcome.as_str());
    if let Some(status) = facts.status_code {
        span.note("http.response.status_code", i64::from(status));
    }
    if facts.outcome != Outcome::Delivered {
        span.fail(facts.error.clone().unwrap_or_default());
    }
}

/// The progress of the next attempt after one that was recorded.
fn successor(
    progress: &Progress,
    first_started: Option<Timestamp>,
    recorded: i32,
    at: Timestamp,
) -> Progress {
    Progress {
        recorded,
        attempt: progress.attempt + 1,
        trigger: Trigger::Retry,
        first_started,
        not_before: Some(at),
        repeated: false,
        ..progress.clone()
    }
}
