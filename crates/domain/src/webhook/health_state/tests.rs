use super::*;
use crate::delivery::retry::RetrySchedule;

fn now() -> Timestamp {
    crate::time::parse_timestamp("2021-04-08T19:36:00.000Z").expect("valid")
}

fn ago(minutes: i64) -> Timestamp {
    now() - TimeDelta::minutes(minutes)
}

/// A webhook that was attempted a minute ago.
fn facts() -> HealthFacts {
    HealthFacts {
        status: WebhookStatus::Active,
        status_since: None,
        recent_attempts: 0,
        recent_failures: 0,
        latest_attempts: 0,
        latest_failures: 0,
        failed_in_row: 0,
        rest: None,
        last_attempt: Some(ago(1)),
        failing_since: None,
        delivered: 0,
        failed: 0,
        slices: Vec::new(),
    }
}

/// A slice of a minute, this many minutes ago, whose last `failures` attempts failed.
fn slice(minutes_ago: i64, attempts: u64, failures: u64) -> ActivitySlice {
    let failed = (failures > 0).then(|| ago(minutes_ago));
    ActivitySlice { start: ago(minutes_ago), attempts, failures, first_failure: failed, last_failure: failed }
}

/// Facts with these slices, from which the other numbers follow.
fn with_slices(slices: Vec<ActivitySlice>) -> HealthFacts {
    let recent = || slices.iter().filter(|own| own.start > ago(15));
    let latest = slices.last().filter(|_| recent().count() == 0);
    HealthFacts {
        latest_attempts: latest.map_or(0, |own| own.attempts),
        latest_failures: latest.map_or(0, |own| own.failures),
        recent_attempts: recent().map(|own| own.attempts).sum(),
        recent_failures: recent().map(|own| own.failures).sum(),
        failing_since: slices.iter().filter(|own| own.failures > 0).filter_map(|own| own.first_failure).min(),
        slices,
        ..facts()
    }
}

fn disables_in(facts: &HealthFacts) -> Option<i64> {
    HealthRule::default().assess(facts, now()).disables_at.map(|at| (at - now()).num_minutes())
}

/// Every combination of what the state depends on, against the definition of the contract.
#[test]
fn the_state_of_every_combination_of_facts_is_that_of_the_contract() {
    let rests = [None, Some(ago(1)), Some(now() + TimeDelta::minutes(1))];
    let last = [None, Some(ago(1)), Some(ago(24 * 60 - 1)), Some(ago(24 * 60))];
    let mut checked = 0;
    for status in WebhookStatus::ALL.iter().copied().filter(|status| *status != WebhookStatus::Deleted) {
        for until in rests {
            for last_attempt in last {
                for failed_in_row in 0..=4 {
                    for attempts in 0..=4 {
                        for failures in 0..=attempts {
                            let rest = until.map(|until| Rest { since: ago(5), until });
                            let facts = HealthFacts {
                                status,
                                rest,
                                last_attempt,
                                failed_in_row,
                                recent_attempts: attempts,
                                recent_failures: failures,
                                ..facts()
                            };
                            let half_failed = attempts > 0 && failures >= attempts - failures;
                            let was_attempted = last_attempt.is_some_and(|at| at > ago(24 * 60));
                            let expected = match status {
                                WebhookStatus::Paused => HealthState::Paused,
                                WebhookStatus::Disabled => HealthState::Disabled,
                                _ if until.is_some_and(|until| until > now()) => HealthState::Resting,
                                _ if !was_attempted => HealthState::Idle,
                                _ if half_failed || failed_in_row >= 3 => HealthState::Failing,
                                _ => HealthState::Healthy,
                            };
                            assert_eq!(facts.state(now()), expected, "{facts:?}");
                            checked += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(checked, 3 * 3 * 4 * 5 * 15);
}

/// One event to a dead endpoint: each retry fails, and the last delays are longer than the recent window.
#[test]
fn a_dead_endpoint_is_failing_between_its_retries() {
    let schedule = RetrySchedule::default();
    let first = ago(60);
    let mut attempts = vec![first];
    let mut last = first;
    for number in 1.. {
        let Some(next) = schedule.next_attempt(number, first, last, None) else { break };
        attempts.push(next);
        last = next;
    }
    assert!(last > ago(30), "the schedule lasts for most of an hour");
    for minute in 0..=60 {
        let at = first + TimeDelta::minutes(minute);
        // The slices as they are at that time, moved to now.
        let ended = attempts.iter().filter(|ended| **ended <= at).map(|ended| *ended + (now() - at));
        let slices: Vec<_> = ended
            .map(|ended| ActivitySlice {
                start: ended,
                first_failure: Some(ended),
                last_failure: Some(ended),
                ..slice(0, 1, 1)
            })
            .collect();
        let last_attempt = slices.last().map(|own| own.start);
        let facts = HealthFacts { last_attempt, ..with_slices(slices) };
        assert_eq!(facts.state(now()), HealthState::Failing, "after {minute} minutes");
    }
}

#[test]
fn the_latest_attempts_decide_only_without_recent_ones() {
    let state = |recent_attempts, recent_failures, latest_failures| {
        let latest_attempts = 2;
        let numbers =
            HealthFacts { recent_attempts, recent_failures, latest_attempts, latest_failures, ..facts() };
        numbers.state(now())
    };
    assert_eq!(state(0, 0, 1), HealthState::Failing);
    assert_eq!(state(0, 0, 0), HealthState::Healthy);
    assert_eq!(state(4, 1, 2), HealthState::Healthy);
    assert_eq!(state(4, 2, 0), HealthState::Failing);
}

#[test]
fn the_recent_window_holds_a_slice() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(recent_window(minutes(60)), minutes(15));
    assert_eq!(recent_window(minutes(15 * 60)), minutes(15));
    assert_eq!(recent_window(minutes(24 * 60)), minutes(24));
}

#[test]
fn a_webhook_is_failing_since_its_failures_prevail_and_healthy_since_the_last_of_them() {
    let failing = with_slices(vec![slice(9, 10, 10), slice(2, 10, 9)]);
    let health = HealthRule::default().assess(&failing, now());
    assert_eq!((health.state, health.since), (HealthState::Failing, Some(ago(9))));
    let recovered = with_slices(vec![slice(40, 10, 10), slice(30, 10, 5), slice(2, 100, 1)]);
    let health = HealthRule::default().assess(&recovered, now());
    assert_eq!((health.state, health.since), (HealthState::Healthy, Some(ago(30))));
    let health = HealthRule::default().assess(&with_slices(vec![]), now());
    assert_eq!((health.state, health.since), (HealthState::Healthy, None));
}

#[test]
fn other_states_are_since_what_began_them() {
    let since = |facts: HealthFacts| HealthRule::default().assess(&facts, now()).since;
    let rest = Some(Rest { since: ago(3), until: now() + TimeDelta::minutes(1) });
    assert_eq!(since(HealthFacts { rest, ..facts() }), Some(ago(3)));
    let idle = |minutes| HealthFacts { last_attempt: None, status_since: Some(ago(minutes)), ..facts() };
    assert_eq!(since(idle(7)), Some(ago(7)));
    assert_eq!(since(idle(25 * 60)), None, "it may have been attempted since then");
    for status in [WebhookStatus::Paused, WebhookStatus::Disabled] {
        assert_eq!(since(HealthFacts { status, status_since: Some(ago(7)), ..facts() }), Some(ago(7)));
    }
}

#[test]
fn success_counts_deliveries_and_not_attempts() {
    let rate = |delivered, failed| {
        let facts = HealthFacts { delivered, failed, recent_attempts: 80, recent_failures: 80, ..facts() };
        HealthRule::default().assess(&facts, now()).success_rate
    };
    assert_eq!((rate(0, 0), rate(3, 1), rate(0, 2)), (None, Some(0.75), Some(0.0)));
}

/// Ten attempts a minute fail since 20 minutes: the span of 50 minutes is reached 30 minutes later.
#[test]
fn a_webhook_that_fails_every_attempt_is_disabled_when_its_span_is_reached() {
    let facts = with_slices((1..=20).rev().map(|minutes| slice(minutes, 10, 10)).collect());
    assert_eq!(disables_in(&facts), Some(30));
    let almost = with_slices((1..=49).rev().map(|minutes| slice(minutes, 10, 10)).collect());
    assert_eq!(disables_in(&almost), Some(1));
    let over = with_slices((1..=55).rev().map(|minutes| slice(minutes, 10, 10)).collect());
    assert_eq!(disables_in(&over), Some(0), "the judge is about to");
}

/// Successes of the window have to become less than a tenth.
#[test]
fn earlier_successes_delay_the_end() {
    let mut slices: Vec<_> = (11..=59).rev().map(|minutes| slice(minutes, 10, 0)).collect();
    slices.extend((1..=10).rev().map(|minutes| slice(minutes, 10, 10)));
    let minutes = disables_in(&with_slices(slices)).expect("disabled");
    assert!((41..=46).contains(&minutes), "{minutes}");
}

#[test]
fn a_webhook_that_does_not_fail_often_enough_is_not_disabled() {
    assert_eq!(disables_in(&facts()), None, "no attempt failed");
    let most = with_slices((1..=50).rev().map(|minutes| slice(minutes, 10, 8)).collect());
    assert_eq!(disables_in(&most), None, "80 %");
    let rare = with_slices(vec![slice(50, 1, 1), slice(40, 1, 1), slice(14, 1, 1), slice(2, 1, 1)]);
    assert_eq!(disables_in(&rare), None, "far fewer than 50 attempts an hour");
    let recovered = with_slices(vec![slice(50, 100, 100), slice(2, 100, 0)]);
    assert_eq!(disables_in(&recovered), None);
}

#[test]
fn failed_deliveries_in_a_row_disable_at_their_pace() {
    let in_row = |failed_in_row, failed| HealthFacts { failed_in_row, failed, ..facts() };
    assert_eq!(disables_in(&in_row(4, 12)), Some(30), "six more, one each five minutes");
    assert_eq!(disables_in(&in_row(9, 60)), Some(1));
    assert_eq!(disables_in(&in_row(10, 10)), Some(0));
    assert_eq!(disables_in(&in_row(9, 0)), None, "none failed in the last hour");
    assert_eq!(disables_in(&in_row(0, 60)), None, "the last attempt succeeded");
}

#[test]
fn only_an_active_webhook_will_be_disabled() {
    for status in [WebhookStatus::Paused, WebhookStatus::Disabled] {
        assert_eq!(disables_in(&HealthFacts { status, failed_in_row: 10, failed: 10, ..facts() }), None);
    }
}

/// The projection never promises what the rule of the deliverers would not do: once the rule holds for the same
/// numbers, `disables_at` is now.
#[test]
fn the_projection_agrees_with_the_rule_that_disables() {
    use super::super::health::HealthStats;
    let rule = HealthRule::default();
    for minutes in 1..60 {
        for per_minute in [1, 2, 5, 20] {
            for failed_of_ten in [0, 5, 8, 9, 10] {
                let failures = per_minute * failed_of_ten / 10;
                let slices: Vec<_> =
                    (0..minutes).rev().map(|back| slice(back, per_minute, failures)).collect();
                let sum = |count: fn(&ActivitySlice) -> u64| slices.iter().map(count).sum();
                let stats = HealthStats {
                    attempts: sum(|own| own.attempts),
                    failures: sum(|own| own.failures),
                    first_failure: slices.iter().filter_map(|own| own.first_failure).min(),
                    last_failure: slices.iter().filter_map(|own| own.last_failure).max(),
                    failed_in_row: 0,
                };
                let is_now = disables_in(&with_slices(slices)) == Some(0);
                assert_eq!(is_now, rule.judge(&stats).is_some(), "{stats:?}");
            }
        }
    }
}
