//! Decides what the deliverer does with a delivery now.
//!
//! A delivery reaches a deliverer as a message of its webhook's queue, or as a row that the deliverer read from the
//! database. RabbitMQ may hand a message out twice, the webhook may have stopped receiving, the retry window may be
//! over, the clocks of two machines differ. [`admit`] turns all of that into one [`Admission`]. It reads nothing
//! itself: when it needs to know more, it returns a question ([`Admission::ReloadWebhook`],
//! [`Admission::LookUpDelivery`]), and the caller comes back with the answer.
//!
//! The caller asks twice, because a delivery may wait for minutes until its endpoint's limiter grants a permit:
//!
//! 1. [`Stage::Arrived`], before the permit. The cached webhook may be older than the message, so that the caller has
//!    to reload it. If the message may be a duplicate, the database tells whether its attempt was recorded already.
//!    A retry that came early goes back into a delay queue.
//! 2. [`Stage::Permitted`], with the permit. RabbitMQ may have given the message to another replica, the webhook may
//!    have been paused, and the window may have ended meanwhile. The other questions have their answers by then, and
//!    are not asked again.
//!
//! The order of the checks is part of the promise. A stopped webhook closes the delivery before anything else counts,
//! so that its brand gets no further request. A duplicate is dropped before the window is looked at, so that nothing
//! is recorded twice. Delays come last, because a delivery that ends has nothing to wait for.

use std::time::Duration;

use crate::delivery::DeliveryStatus;
use crate::retry::RetrySchedule;
use crate::time::Timestamp;
use crate::webhook::WebhookStatus;

/// Longest time that a message may come early and still be attempted by the replica that received it.
///
/// The clocks of two machines, and the time between deciding and publishing, explain this much. A trip through a delay
/// queue would cost more than the wait.
pub const MAX_EARLY_ARRIVAL: Duration = Duration::from_millis(50);

/// A delivery as its message describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The webhook's generation in which the delivery was created.
    pub generation: i32,
    /// Which redelivery the message belongs to, from 1.
    pub round: i32,
    /// Attempts recorded before this message was published, over all rounds.
    pub recorded: i32,
    /// When the round's first attempt started, once it has.
    pub first_started: Option<Timestamp>,
    /// When the next attempt may start, for a retry.
    pub not_before: Option<Timestamp>,
    /// Whether another process, or another message, may have caused the attempt already.
    pub maybe_duplicate: bool,
    /// Whether RabbitMQ handed the message out before. A process may have died after it recorded the attempt and
    /// before it queued the retry.
    pub redelivered: bool,
}

/// The webhook as the replica's cache has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookView {
    /// Its configuration is known.
    Known {
        /// The current generation; it grows whenever the webhook stops receiving.
        generation: i32,
        /// Whether it receives now.
        status: WebhookStatus,
        /// The status that deliveries of ended generations get.
        closes_as: DeliveryStatus,
    },
    /// The webhook exists, but this process cannot read it, for example because it lacks the master key.
    Unreadable,
    /// The webhook was deleted and all of its deliveries are closed, or the cache does not have it yet.
    Gone,
}

/// The delivery's row, as far as the decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedState {
    /// The status.
    pub status: DeliveryStatus,
    /// The latest round.
    pub round: i32,
    /// Attempts recorded over all rounds.
    pub attempts: i32,
    /// When the round's first attempt started.
    pub first_started: Option<Timestamp>,
    /// When the next attempt may start.
    pub next_attempt_at: Option<Timestamp>,
}

/// The database's answer about the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The database was not asked.
    NotLookedUp,
    /// The delivery has expired: its event is past the retention.
    Expired,
    /// The delivery is there.
    State(RecordedState),
}

/// Whether the replica may still act on the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// RabbitMQ counts the message as ours.
    Held,
    /// The subscription ended, so that RabbitMQ hands the message out again.
    SubscriptionEnded,
    /// The process stood still for so long that RabbitMQ may have given the message to another replica.
    ProcessStalled,
}

/// The stage of the delivery in this process, with the answers that it has by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The delivery just arrived.
    Arrived {
        /// Whether the cache was reloaded for this delivery.
        is_webhook_reloaded: bool,
        /// The database's answer.
        recorded: Recorded,
    },
    /// The delivery holds a permit of its endpoint's limiter.
    Permitted(Custody),
}

/// The decision about a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Load the webhooks that changed, and ask again.
    ReloadWebhook,
    /// Read the delivery's row, and ask again.
    LookUpDelivery,
    /// Make an attempt after this delay, which is zero or less than [`MAX_EARLY_ARRIVAL`] in most cases.
    Attempt {
        /// How much too early it is.
        delay: Duration,
    },
    /// Put the message into a delay queue as it is.
    WaitUntil(Timestamp),
    /// Queue the retry that follows from a recorded attempt. The process that made the attempt may have died before it
    /// did so; queueing the retry twice is safe.
    QueueRetry {
        /// When the retry may start.
        at: Timestamp,
        /// When the round's first attempt started.
        first_started: Option<Timestamp>,
        /// Attempts recorded over all rounds.
        recorded: i32,
    },
    /// End the delivery with this status, without an attempt.
    End(DeliveryStatus),
    /// Drop the message: its attempt is recorded, and the process that made it takes care of the rest.
    AlreadyHandled,
    /// Drop the message: its delivery has expired.
    Expired,
    /// Return the message to its queue, so that another replica gets it.
    Requeue,
    /// Return the message, and subscribe again: another replica may have received it as well.
    RequeueStale,
}

/// Decides what to do with a delivery at `now`.
#[must_use]
pub fn admit(
    candidate: &Candidate,
    webhook: WebhookView,
    stage: Stage,
    schedule: &RetrySchedule,
    now: Timestamp,
) -> Admission {
    match stage {
        Stage::Arrived { is_webhook_reloaded, recorded } => {
            admit_arrival(candidate, webhook, is_webhook_reloaded, recorded, schedule, now)
        }
        Stage::Permitted(Custody::ProcessStalled) => Admission::RequeueStale,
        Stage::Permitted(Custody::SubscriptionEnded) => Admission::Requeue,
        Stage::Permitted(Custody::Held) => refuse_stopped(candidate, webhook)
            .or_else(|| end_late(candidate, schedule, now))
            .unwrap_or(Admission::Attempt { delay: Duration::ZERO }),
    }
}

fn admit_arrival(
    candidate: &Candidate,
    webhook: WebhookView,
    is_webhook_reloaded: bool,
    recorded: Recorded,
    schedule: &RetrySchedule,
    now: Timestamp,
) -> Admission {
    if needs_reload(candidate, webhook, is_webhook_reloaded) {
        return Admission::ReloadWebhook;
    }
    refuse_stopped(candidate, webhook)
        .or_else(|| drop_duplicate(candidate, recorded))
        .or_else(|| end_late(candidate, schedule, now))
        .unwrap_or_else(|| start_or_wait(candidate, schedule, now))
}

/// Whether the cache may be older than the message. It never is newer than the database, so that a webhook which is
/// missing after a reload is gone.
fn needs_reload(candidate: &Candidate, webhook: WebhookView, is_reloaded: bool) -> bool {
    match webhook {
        WebhookView::Known { generation, .. } => generation < candidate.generation,
        WebhookView::Unreadable | WebhookView::Gone => !is_reloaded,
    }
}

/// Closes the delivery of a webhook that stopped receiving, and leaves an unreadable webhook to another replica.
fn refuse_stopped(candidate: &Candidate, webhook: WebhookView) -> Option<Admission> {
    match webhook {
        WebhookView::Unreadable => Some(Admission::Requeue),
        WebhookView::Gone => Some(Admission::End(DeliveryStatus::Discarded)),
        WebhookView::Known { generation, closes_as, .. } if candidate.generation < generation => {
            Some(Admission::End(closes_as))
        }
        WebhookView::Known { status, .. } => status.settles_waiting_as().map(Admission::End),
    }
}

/// Compares a message that may be a duplicate with the delivery's row.
fn drop_duplicate(candidate: &Candidate, recorded: Recorded) -> Option<Admission> {
    if !candidate.maybe_duplicate {
        return None;
    }
    let state = match recorded {
        Recorded::NotLookedUp => return Some(Admission::LookUpDelivery),
        Recorded::Expired => return Some(Admission::Expired),
        Recorded::State(state) => state,
    };
    let is_superseded = state.round > candidate.round || state.status != DeliveryStatus::Pending;
    if is_superseded {
        return Some(Admission::AlreadyHandled);
    }
    if state.attempts <= candidate.recorded {
        return None;
    }
    // The process that recorded the attempt queues the retry, unless it died. Only a redelivered message shows that it
    // may have.
    match state.next_attempt_at.filter(|_| candidate.redelivered) {
        Some(at) => {
            Some(Admission::QueueRetry { at, first_started: state.first_started, recorded: state.attempts })
        }
        None => Some(Admission::AlreadyHandled),
    }
}

/// Ends a delivery whose retry window is over. It ran out on the way, so that it does not count against the webhook.
fn end_late(candidate: &Candidate, schedule: &RetrySchedule, now: Timestamp) -> Option<Admission> {
    let first = candidate.first_started?;
    (!schedule.may_start(first, now)).then_some(Admission::End(DeliveryStatus::Failed))
}

/// Attempts a delivery that is due, and sends an early one back to a delay queue.
fn start_or_wait(candidate: &Candidate, schedule: &RetrySchedule, now: Timestamp) -> Admission {
    // No retry is planned further ahead than the window is long. If this one is, a clock was wrong when it was planned.
    let Some(at) = candidate.not_before.filter(|at| schedule.may_start(now, *at)) else {
        return Admission::Attempt { delay: Duration::ZERO };
    };
    let delay = (at - now).to_std().unwrap_or_default();
    if delay > MAX_EARLY_ARRIVAL { Admission::WaitUntil(at) } else { Admission::Attempt { delay } }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    const GENERATION: i32 = 3;
    const ROUND: i32 = 2;
    const RECORDED: i32 = 4;

    fn now() -> Timestamp {
        crate::time::parse("2021-04-08T19:36:02.938Z").expect("valid")
    }

    fn schedule() -> RetrySchedule {
        let delays = vec![Duration::from_secs(5), Duration::from_secs(30)];
        RetrySchedule::new(delays, Duration::from_secs(60)).expect("a schedule")
    }

    fn seconds(seconds: i64) -> Timestamp {
        now() + TimeDelta::seconds(seconds)
    }

    fn millis(millis: i64) -> Timestamp {
        now() + TimeDelta::milliseconds(millis)
    }

    /// All instants that matter to a time limit of a minute and an early arrival of 50 ms.
    fn instants() -> Vec<Option<Timestamp>> {
        let mut instants = vec![None];
        instants.extend(
            [-3_600_000, -60_001, -60_000, -1, 0, 1, 50, 51, 60_000, 60_001].map(|at| Some(millis(at))),
        );
        instants
    }

    fn candidates() -> Vec<Candidate> {
        let mut all = Vec::new();
        for first_started in instants() {
            for not_before in instants() {
                for (maybe_duplicate, redelivered) in [(false, false), (true, false), (true, true)] {
                    all.push(Candidate {
                        generation: GENERATION,
                        round: ROUND,
                        recorded: RECORDED,
                        first_started,
                        not_before,
                        maybe_duplicate,
                        redelivered,
                    });
                }
            }
        }
        all
    }

    fn views() -> Vec<WebhookView> {
        let mut all = vec![WebhookView::Unreadable, WebhookView::Gone];
        for generation in GENERATION - 1..=GENERATION + 1 {
            for status in WebhookStatus::ALL {
                for closes_as in [DeliveryStatus::Held, DeliveryStatus::Discarded] {
                    all.push(WebhookView::Known { generation, status: *status, closes_as });
                }
            }
        }
        all
    }

    fn recorded_states() -> Vec<Recorded> {
        let mut all = vec![Recorded::NotLookedUp, Recorded::Expired];
        for status in DeliveryStatus::ALL {
            for round in ROUND - 1..=ROUND + 1 {
                for attempts in RECORDED - 1..=RECORDED + 1 {
                    for next_attempt_at in [None, Some(seconds(-5)), Some(seconds(30))] {
                        all.push(Recorded::State(RecordedState {
                            status: *status,
                            round,
                            attempts,
                            first_started: Some(seconds(-20)),
                            next_attempt_at,
                        }));
                    }
                }
            }
        }
        all
    }

    fn stages() -> Vec<Stage> {
        let mut all: Vec<Stage> =
            [Custody::Held, Custody::SubscriptionEnded, Custody::ProcessStalled].map(Stage::Permitted).into();
        for recorded in recorded_states() {
            all.extend(
                [false, true].map(|is_webhook_reloaded| Stage::Arrived { is_webhook_reloaded, recorded }),
            );
        }
        all
    }

    /// One input of the decision, with the questions that the table below is written in.
    #[derive(Debug, Clone, Copy)]
    struct Case {
        candidate: Candidate,
        webhook: WebhookView,
        stage: Stage,
    }

    impl Case {
        fn arrived(&self) -> bool {
            matches!(self.stage, Stage::Arrived { .. })
        }

        fn reloaded(&self) -> bool {
            matches!(self.stage, Stage::Arrived { is_webhook_reloaded: true, .. })
        }

        fn custody(&self, is: Custody) -> bool {
            self.stage == Stage::Permitted(is)
        }

        fn known(&self) -> Option<(i32, WebhookStatus, DeliveryStatus)> {
            match self.webhook {
                WebhookView::Known { generation, status, closes_as } => Some((generation, status, closes_as)),
                _ => None,
            }
        }

        fn generation_is(&self, wanted: std::cmp::Ordering) -> bool {
            self.known().is_some_and(|(generation, _, _)| generation.cmp(&GENERATION) == wanted)
        }

        fn status_is(&self, wanted: WebhookStatus) -> bool {
            self.known().is_some_and(|(_, status, _)| status == wanted)
        }

        /// The database's answer, if the message may be a duplicate.
        fn compared(&self) -> Option<Recorded> {
            match self.stage {
                Stage::Arrived { recorded, .. } if self.candidate.maybe_duplicate => Some(recorded),
                _ => None,
            }
        }

        fn state(&self) -> Option<RecordedState> {
            match self.compared() {
                Some(Recorded::State(state)) => Some(state),
                _ => None,
            }
        }

        fn window_is_over(&self) -> bool {
            self.candidate.first_started.is_some_and(|first| (now() - first).num_milliseconds() > 60_000)
        }

        /// By how many milliseconds the message is early, if its plan can be believed.
        fn early_by(&self) -> i64 {
            let early = self.candidate.not_before.map_or(0, |at| (at - now()).num_milliseconds());
            if early > 60_000 { 0 } else { early }
        }
    }

    type Row = (&'static str, fn(&Case) -> bool, fn(&Case) -> Admission);

    /// The decision as a table: the first row whose condition holds says what to do.
    const TABLE: [Row; 19] = [
        ("stalled", |c| c.custody(Custody::ProcessStalled), |_| Admission::RequeueStale),
        ("ended", |c| c.custody(Custody::SubscriptionEnded), |_| Admission::Requeue),
        ("older", |c| c.arrived() && c.generation_is(std::cmp::Ordering::Less), |_| Admission::ReloadWebhook),
        (
            "missing, before a reload",
            |c| c.arrived() && c.known().is_none() && !c.reloaded(),
            |_| Admission::ReloadWebhook,
        ),
        ("unreadable", |c| c.webhook == WebhookView::Unreadable, |_| Admission::Requeue),
        ("gone", |c| c.webhook == WebhookView::Gone, |_| Admission::End(DeliveryStatus::Discarded)),
        (
            "newer",
            |c| c.generation_is(std::cmp::Ordering::Greater),
            |c| Admission::End(c.known().expect("known").2),
        ),
        ("paused", |c| c.status_is(WebhookStatus::Paused), |_| Admission::End(DeliveryStatus::Discarded)),
        ("deleted", |c| c.status_is(WebhookStatus::Deleted), |_| Admission::End(DeliveryStatus::Discarded)),
        ("disabled", |c| c.status_is(WebhookStatus::Disabled), |_| Admission::End(DeliveryStatus::Held)),
        ("doubted", |c| c.compared() == Some(Recorded::NotLookedUp), |_| Admission::LookUpDelivery),
        ("expired", |c| c.compared() == Some(Recorded::Expired), |_| Admission::Expired),
        ("begun again", |c| c.state().is_some_and(|s| s.round > ROUND), |_| Admission::AlreadyHandled),
        (
            "over",
            |c| c.state().is_some_and(|s| s.status != DeliveryStatus::Pending),
            |_| Admission::AlreadyHandled,
        ),
        (
            "attempted by a process that may have died",
            |c| {
                let state = c.state().filter(|s| s.attempts > RECORDED && s.next_attempt_at.is_some());
                c.candidate.redelivered && state.is_some()
            },
            |c| Admission::QueueRetry {
                at: c.state().and_then(|s| s.next_attempt_at).expect("planned"),
                first_started: Some(seconds(-20)),
                recorded: RECORDED + 1,
            },
        ),
        ("attempted", |c| c.state().is_some_and(|s| s.attempts > RECORDED), |_| Admission::AlreadyHandled),
        ("late", Case::window_is_over, |_| Admission::End(DeliveryStatus::Failed)),
        (
            "early",
            |c| c.arrived() && c.early_by() > 50,
            |c| Admission::WaitUntil(c.candidate.not_before.expect("planned")),
        ),
        (
            "due",
            |_| true,
            |c| {
                let early = if c.arrived() { c.early_by().max(0) } else { 0 };
                Admission::Attempt { delay: Duration::from_millis(early.unsigned_abs()) }
            },
        ),
    ];

    #[test]
    fn every_input_is_decided_as_the_table_says() {
        let schedule = schedule();
        let mut used = [0_usize; TABLE.len()];
        for candidate in candidates() {
            for webhook in views() {
                for stage in stages() {
                    let case = Case { candidate, webhook, stage };
                    let row =
                        TABLE.iter().position(|(_, holds, _)| holds(&case)).expect("the last row holds");
                    used[row] += 1;
                    let (name, _, expected) = TABLE[row];
                    let decided = admit(&candidate, webhook, stage, &schedule, now());
                    assert_eq!(decided, expected(&case), "row {name:?}: {case:?}");
                }
            }
        }
        for ((name, _, _), count) in TABLE.iter().zip(used) {
            assert!(count > 0, "no input reaches the row {name:?}");
        }
    }

    fn fresh() -> Candidate {
        Candidate {
            generation: GENERATION,
            round: 1,
            recorded: 0,
            first_started: None,
            not_before: None,
            maybe_duplicate: false,
            redelivered: false,
        }
    }

    const ACTIVE: WebhookView = WebhookView::Known {
        generation: GENERATION,
        status: WebhookStatus::Active,
        closes_as: DeliveryStatus::Held,
    };
    const ARRIVED: Stage = Stage::Arrived { is_webhook_reloaded: false, recorded: Recorded::NotLookedUp };

    #[test]
    fn a_fresh_delivery_is_attempted_without_a_question() {
        for stage in [ARRIVED, Stage::Permitted(Custody::Held)] {
            let decided = admit(&fresh(), ACTIVE, stage, &schedule(), now());
            assert_eq!(decided, Admission::Attempt { delay: Duration::ZERO });
        }
    }

    /// The caller answers each question once; no input makes it ask the same again.
    #[test]
    fn questions_end_once_they_are_answered() {
        let schedule = schedule();
        for candidate in candidates() {
            for webhook in views() {
                // A reload brings a webhook that is no older than the message.
                if matches!(webhook, WebhookView::Known { generation, .. } if generation < GENERATION) {
                    continue;
                }
                for recorded in recorded_states().into_iter().filter(|r| *r != Recorded::NotLookedUp) {
                    let stage = Stage::Arrived { is_webhook_reloaded: true, recorded };
                    let decided = admit(&candidate, webhook, stage, &schedule, now());
                    assert!(!matches!(decided, Admission::ReloadWebhook | Admission::LookUpDelivery));
                }
            }
        }
    }

    #[test]
    fn a_retry_whose_plan_lies_beyond_the_window_is_attempted_now() {
        let planned = |at| Candidate { not_before: Some(at), ..fresh() };
        let decided = |at| admit(&planned(at), ACTIVE, ARRIVED, &schedule(), now());
        assert_eq!(decided(seconds(60)), Admission::WaitUntil(seconds(60)));
        assert_eq!(decided(millis(60_001)), Admission::Attempt { delay: Duration::ZERO });
    }

    #[test]
    fn a_webhook_that_stops_while_a_delivery_waits_for_its_permit_gets_no_request() {
        let stage = Stage::Permitted(Custody::Held);
        let paused = WebhookView::Known {
            generation: GENERATION + 1,
            status: WebhookStatus::Paused,
            closes_as: DeliveryStatus::Discarded,
        };
        let decided = admit(&fresh(), paused, stage, &schedule(), now());
        assert_eq!(decided, Admission::End(DeliveryStatus::Discarded));
    }
}
