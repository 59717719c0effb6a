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
use crate::delivery::retry::RetrySchedule;
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
    /// The webhook's generation in which the delivery's round began.
    pub generation: i32,
    /// The round, from 1.
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
    /// Whether it is the only attempt of a test event. Support may test a disabled webhook.
    pub is_test: bool,
}

/// The webhook as the replica's cache has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookView {
    /// Its configuration is known.
    Known {
        /// The current generation; it changes with each change of status.
        generation: i32,
        /// The generation before which all deliveries are closed in the database.
        closed_generation: i32,
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
    Ours,
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
    /// Drop the message, because the database is ahead of it: its attempt is recorded and the process that made it
    /// takes care of the rest, its delivery ended, or a later round began.
    AlreadyHandled,
    /// Drop the message: its delivery has expired.
    Expired,
    /// Drop the message: its generation is closed, and its delivery with it.
    AlreadyClosed,
    /// Return the message to its queue. The active consumer gets it again: another replica, if this one's subscription
    /// ended.
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
        Stage::Permitted(Custody::Ours) => refuse_stopped(candidate, webhook)
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
        WebhookView::Known { generation, closed_generation, closes_as, .. }
            if candidate.generation < generation =>
        {
            let is_closed = is_closed_already(candidate, closed_generation);
            Some(if is_closed { Admission::AlreadyClosed } else { Admission::End(closes_as) })
        }
        // The test began in this generation, so that it is not of the time before the webhook was disabled.
        WebhookView::Known { status: WebhookStatus::Disabled, generation, .. }
            if candidate.is_test && candidate.generation == generation =>
        {
            None
        }
        WebhookView::Known { status, .. } => DeliveryStatus::when_webhook_becomes(status).map(Admission::End),
    }
}

/// Whether the database closed the delivery together with its generation, so that its message needs no statement. A
/// pause of a webhook with a backlog would otherwise cost as many changes of nothing as messages wait.
///
/// A router that matched an event before the generation ended may store it after the generation was closed. The owner
/// of the webhook finds such a delivery as an orphaned one and queues it again, marked as a possible duplicate. Such a
/// message ends its delivery itself.
fn is_closed_already(candidate: &Candidate, closed_generation: i32) -> bool {
    candidate.generation < closed_generation && !candidate.maybe_duplicate && !candidate.redelivered
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
mod tests;
