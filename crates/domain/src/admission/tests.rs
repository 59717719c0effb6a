//! Holds the decision against a table, over all inputs.

use chrono::TimeDelta;

use super::*;

const GENERATION: i32 = 3;
const ROUND: i32 = 2;
const RECORDED: i32 = 4;

fn now() -> Timestamp {
    crate::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid")
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
    instants
        .extend([-3_600_000, -60_001, -60_000, -1, 0, 1, 50, 51, 60_000, 60_001].map(|at| Some(millis(at))));
    instants
}

/// Whether the message may be a duplicate, was redelivered, and is a test.
const FLAGS: [(bool, bool, bool); 5] = [
    (false, false, false),
    (true, false, false),
    (true, true, false),
    (false, false, true),
    (true, false, true),
];

fn candidates() -> Vec<Candidate> {
    let mut all = Vec::new();
    for first_started in instants() {
        for not_before in instants() {
            for (maybe_duplicate, redelivered, is_test) in FLAGS {
                all.push(Candidate {
                    generation: GENERATION,
                    round: ROUND,
                    recorded: RECORDED,
                    first_started,
                    not_before,
                    maybe_duplicate,
                    redelivered,
                    is_test,
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
                for closed_generation in [generation - 1, generation] {
                    all.push(WebhookView::Known {
                        generation,
                        closed_generation,
                        status: *status,
                        closes_as,
                    });
                }
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
        [Custody::Ours, Custody::SubscriptionEnded, Custody::ProcessStalled].map(Stage::Permitted).into();
    for recorded in recorded_states() {
        all.extend([false, true].map(|is_webhook_reloaded| Stage::Arrived { is_webhook_reloaded, recorded }));
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
            WebhookView::Known { generation, status, closes_as, .. } => Some((generation, status, closes_as)),
            _ => None,
        }
    }

    fn generation_is(&self, wanted: std::cmp::Ordering) -> bool {
        self.known().is_some_and(|(generation, _, _)| generation.cmp(&GENERATION) == wanted)
    }

    fn status_is(&self, wanted: WebhookStatus) -> bool {
        self.known().is_some_and(|(_, status, _)| status == wanted)
    }

    /// Whether the message is certainly the first one of its delivery, and its generation is closed.
    fn is_closed(&self) -> bool {
        let is_closed = matches!(
            self.webhook,
            WebhookView::Known { closed_generation, .. } if closed_generation > GENERATION
        );
        is_closed && !self.candidate.maybe_duplicate && !self.candidate.redelivered
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
const TABLE: [Row; 20] = [
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
    ("closed", Case::is_closed, |_| Admission::AlreadyClosed),
    (
        "newer",
        |c| c.generation_is(std::cmp::Ordering::Greater),
        |c| Admission::End(c.known().expect("known").2),
    ),
    ("paused", |c| c.status_is(WebhookStatus::Paused), |_| Admission::End(DeliveryStatus::Discarded)),
    ("deleted", |c| c.status_is(WebhookStatus::Deleted), |_| Admission::End(DeliveryStatus::Discarded)),
    (
        "disabled, and no test",
        |c| {
            let is_test = c.candidate.is_test && c.generation_is(std::cmp::Ordering::Equal);
            c.status_is(WebhookStatus::Disabled) && !is_test
        },
        |_| Admission::End(DeliveryStatus::Held),
    ),
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
                let row = TABLE.iter().position(|(_, holds, _)| holds(&case)).expect("the last row holds");
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
        is_test: false,
    }
}

const ACTIVE: WebhookView = WebhookView::Known {
    generation: GENERATION,
    closed_generation: GENERATION,
    status: WebhookStatus::Active,
    closes_as: DeliveryStatus::Held,
};
const ARRIVED: Stage = Stage::Arrived { is_webhook_reloaded: false, recorded: Recorded::NotLookedUp };

#[test]
fn a_fresh_delivery_is_attempted_without_a_question() {
    for stage in [ARRIVED, Stage::Permitted(Custody::Ours)] {
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
    let stage = Stage::Permitted(Custody::Ours);
    let paused = WebhookView::Known {
        generation: GENERATION + 1,
        closed_generation: GENERATION,
        status: WebhookStatus::Paused,
        closes_as: DeliveryStatus::Discarded,
    };
    let decided = admit(&fresh(), paused, stage, &schedule(), now());
    assert_eq!(decided, Admission::End(DeliveryStatus::Discarded));
}
