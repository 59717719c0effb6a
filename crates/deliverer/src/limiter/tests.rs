//! Tests of the limiter. Time is paused wherever a test waits.

use super::attempt_memory::tests::unshared;
use super::*;
use domain::delivery::adaptive_concurrency::FAILURES_BEFORE_COOLDOWN;
use futures_util::FutureExt;

fn limiter_of(max_concurrency: u16) -> EndpointLimiter {
    EndpointLimiter::new(
        Limits::new(max_concurrency, None),
        AttemptRate::default(),
        unshared(),
        CancellationToken::new(),
    )
}

fn acquire_now(limiter: &EndpointLimiter) -> Option<Permit> {
    limiter.acquire(Priority::Normal).now_or_never().flatten()
}

#[tokio::test]
async fn concurrency_is_bounded_and_shrinks_after_failures() {
    let limiter = limiter_of(4);
    let permits: Vec<Permit> = (0..4).filter_map(|_| acquire_now(&limiter)).collect();
    assert!(permits.len() == 4 && acquire_now(&limiter).is_none());
    permits.into_iter().for_each(|permit| permit.finish(false));
    let one = acquire_now(&limiter).expect("one is left");
    assert!(acquire_now(&limiter).is_none());
    one.finish(true);
    let two: Vec<Permit> = (0..3).filter_map(|_| acquire_now(&limiter)).collect();
    assert_eq!(two.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_cool_down_of_a_failing_endpoint_grows_with_the_attempt_rate() {
    let limits = Limits::new(4, None);
    let rate = AttemptRate::default();
    let limiter = EndpointLimiter::new(limits, rate.clone(), unshared(), CancellationToken::new());
    for _ in 0..FAILURES_BEFORE_COOLDOWN {
        acquire_now(&limiter).expect("a permit at once").finish(false);
    }
    for (per_second, rest) in [(0, 0), (5_000, 20), (1_000_000, 100)] {
        rate.set_rate(per_second);
        let began = Instant::now();
        limiter.acquire(Priority::Normal).await.expect("a permit").finish(false);
        let rested = began.elapsed();
        assert!((rest..=rest + 1).contains(&rested.as_millis()), "{rested:?} beside {per_second}");
    }
    limiter.acquire(Priority::Normal).await.expect("a permit").finish(true);
    assert!(acquire_now(&limiter).is_some());
}

#[tokio::test]
async fn a_share_leaves_the_other_permits_free() {
    let limiter = limiter_of(4);
    let share = limiter.with_share(2);
    let some: Vec<Permit> = (0..3).filter_map(|_| acquire_now(&share)).collect();
    assert_eq!(some.len(), 2);
    let others: Vec<Permit> = (0..3).filter_map(|_| acquire_now(&limiter)).collect();
    assert_eq!(others.len(), 2);
    drop(some);
    assert!(acquire_now(&share).is_some());
}

#[tokio::test]
async fn a_paused_limiter_grants_no_permit_until_the_guard_is_dropped() {
    let limiter = limiter_of(4);
    let one = acquire_now(&limiter).expect("a permit");
    let _other = acquire_now(&limiter).expect("a permit");
    let pause = one.pause();
    assert!(acquire_now(&limiter).is_none());
    let (permit, ()) = tokio::join!(limiter.acquire(Priority::Normal), async { drop(pause) });
    assert!(permit.is_some());
}

#[tokio::test]
async fn retries_go_before_first_attempts_and_these_go_on_when_no_retry_waits() {
    let limiter = limiter_of(1);
    let held = acquire_now(&limiter).expect("a permit");
    let order = std::sync::Mutex::new(Vec::new());
    let waits = async |urgency, name: &'static str| {
        let permit = limiter.acquire(urgency).await.expect("a permit");
        order.lock().expect("no panic").push(name);
        permit.finish(true);
    };
    let gone = limiter.acquire(Priority::Retry).now_or_never();
    assert!(gone.is_none(), "it waited, and left");
    tokio::join!(
        waits(Priority::Normal, "first attempt"),
        waits(Priority::Retry, "retry"),
        waits(Priority::Normal, "first attempt"),
        waits(Priority::Retry, "retry"),
        async { drop(held) },
    );
    assert_eq!(order.into_inner().expect("no panic"), ["retry", "retry", "first attempt", "first attempt"]);
}

#[tokio::test]
async fn every_waiting_request_gets_its_permit_in_the_end() {
    let limiter = Arc::new(limiter_of(3));
    let waiting: Vec<_> = (0..100)
        .map(|n| {
            let limiter = Arc::clone(&limiter);
            runtime::tasks::spawn_named("test", async move {
                let urgency = if n % 2 == 0 { Priority::Retry } else { Priority::Normal };
                let permit = limiter.acquire(urgency).await.expect("a permit");
                tokio::task::yield_now().await;
                permit.finish(n % 3 == 0);
            })
        })
        .collect();
    for task in waiting {
        task.await.expect("ended");
    }
}

#[tokio::test]
async fn a_closing_limiter_releases_waiting_requests() {
    let closing = CancellationToken::new();
    let limiter =
        EndpointLimiter::new(Limits::new(1, None), AttemptRate::default(), unshared(), closing.clone());
    let _held = limiter.acquire(Priority::Normal).await.expect("the only one");
    let (waited, ()) = tokio::join!(limiter.acquire(Priority::Normal), async { closing.cancel() });
    assert!(waited.is_none());
}

#[tokio::test]
async fn a_closing_limiter_is_idle_after_its_last_permit() {
    let closing = CancellationToken::new();
    let limiter =
        EndpointLimiter::new(Limits::new(2, None), AttemptRate::default(), unshared(), closing.clone());
    let one = acquire_now(&limiter).expect("a permit");
    let other = acquire_now(&limiter).expect("a permit");
    let (waited, (), ()) =
        tokio::join!(limiter.acquire(Priority::Normal), limiter.wait_until_idle(), async {
            closing.cancel();
            drop(one);
            assert!(limiter.wait_until_idle().now_or_never().is_none());
            other.finish(true);
        });
    assert!(waited.is_none());
    assert!(limiter.wait_until_idle().now_or_never().is_some());
}
#[tokio::test(start_paused = true)]
async fn a_rate_spreads_requests_over_the_second() {
    let limits = Limits::new(100, Some(1));
    let limiter = EndpointLimiter::new(limits, AttemptRate::default(), unshared(), CancellationToken::new());
    limiter.acquire(Priority::Normal).await.expect("the burst of one").finish(true);
    assert!(acquire_now(&limiter).is_none(), "the next one has to wait for its second");
}

#[tokio::test(start_paused = true)]
async fn a_request_gives_up_after_the_timeout_and_leaves_no_trace() {
    let limiter = limiter_of(1);
    let held = acquire_now(&limiter).expect("a permit");
    let began = Instant::now();
    assert!(limiter.acquire(Priority::Retry).await.is_none());
    assert_eq!(began.elapsed(), PERMIT_TIMEOUT);
    drop(held);
    assert!(acquire_now(&limiter).is_some(), "a retry that gave up does not hold first attempts back");
}

#[tokio::test]
async fn closing_a_view_leaves_the_limiter_open_and_closing_the_limiter_closes_the_view() {
    let closing = CancellationToken::new();
    let limits = Limits::new(1, None);
    let limiter = EndpointLimiter::new(limits, AttemptRate::default(), unshared(), closing.clone());
    let view = limiter.child();
    view.close();
    assert!(acquire_now(&view).is_none());
    assert!(acquire_now(&limiter).is_some());
    let other_view = limiter.with_share(1);
    closing.cancel();
    assert!(other_view.is_closing() && acquire_now(&other_view).is_none());
}

#[test]
fn only_retries_go_first() {
    for trigger in Trigger::ALL {
        let is_first = Priority::from(*trigger) == Priority::Retry;
        assert_eq!(is_first, *trigger == Trigger::Retry, "{trigger}");
    }
}

#[tokio::test]
async fn a_first_attempt_that_arrives_does_not_overtake_a_retry_that_was_woken() {
    let limiter = limiter_of(1);
    let held = acquire_now(&limiter).expect("a permit");
    let mut retry = Box::pin(limiter.acquire(Priority::Retry));
    assert!((&mut retry).now_or_never().is_none());
    drop(held);
    assert!(acquire_now(&limiter).is_none(), "the free permit belongs to the retry");
    assert!(retry.await.is_some());
    assert!(acquire_now(&limiter).is_some());
}
