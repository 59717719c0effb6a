//! Tests of the handling of a message's deliveries, without a broker.

use std::sync::atomic::{AtomicUsize, Ordering};

use broker::wire::Progress;
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::delivery::messages::tests::message;
use crate::limiter::Limits;
use crate::limiter::attempt_memory::tests::unshared;
use crate::limiter::attempt_rate::AttemptRate;

fn limiter(closing: &CancellationToken) -> EndpointLimiter {
    let limits = Limits::new(10, None);
    EndpointLimiter::new(limits, AttemptRate::default(), unshared(), closing.clone())
}

/// Deliveries that can be told apart by their round.
fn deliveries(rounds: std::ops::RangeInclusive<i32>) -> Vec<DeliveryMessage> {
    rounds
        .map(|round| DeliveryMessage { progress: Progress { round, ..Progress::fresh(1) }, ..message(None) })
        .collect()
}

fn rounds(unfinished: &Unfinished) -> Vec<i32> {
    let mut rounds: Vec<i32> = unfinished.deliveries.iter().map(|d| d.progress.round).collect();
    rounds.sort_unstable();
    rounds
}

#[test]
fn a_message_is_acknowledged_split_or_requeued_by_what_is_left_of_it() {
    use MessageFate::{Acknowledge, Requeue, Split};
    for (total, unfinished, is_ours, fate) in [
        (0, 0, true, Acknowledge),
        (0, 0, false, Acknowledge),
        (3, 0, true, Acknowledge),
        (3, 1, true, Split),
        (3, 2, true, Split),
        // It comes again by itself: the rest would be there twice.
        (3, 1, false, Requeue),
        (3, 3, true, Requeue),
        (1, 1, true, Requeue),
    ] {
        assert_eq!(
            MessageFate::of(total, unfinished, is_ours),
            fate,
            "{unfinished} of {total}, ours: {is_ours}"
        );
    }
}

#[tokio::test]
async fn deliveries_that_were_not_begun_are_unfinished_and_a_stale_one_says_so() {
    let outcomes = [
        DeliveryOutcome::Attempted { delivered: true },
        DeliveryOutcome::Requeue,
        DeliveryOutcome::Completed,
        DeliveryOutcome::Stale,
    ];
    let handled = |stale: bool| {
        let deliver = move |delivery: DeliveryMessage| async move {
            let outcome = outcomes[usize::try_from(delivery.progress.round - 1).expect("few")];
            let is_stale = outcome == DeliveryOutcome::Stale;
            (if is_stale && !stale { DeliveryOutcome::Completed } else { outcome }, delivery)
        };
        async move {
            let limiter = limiter(&CancellationToken::new());
            handle_all(&Arc::new(Semaphore::new(10)), &limiter, deliveries(1..=4), deliver).await
        }
    };
    let unfinished = handled(true).await;
    assert_eq!((rounds(&unfinished), unfinished.is_stale), (vec![2, 4], true));
    let unfinished = handled(false).await;
    assert_eq!((rounds(&unfinished), unfinished.is_stale), (vec![2], false));
}

#[tokio::test]
async fn no_more_deliveries_are_in_progress_than_there_are_slots() {
    let in_progress = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let deliver = |delivery: DeliveryMessage| {
        let in_progress = Arc::clone(&in_progress);
        let most = Arc::clone(&most);
        async move {
            most.fetch_max(in_progress.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // So long that all others could begin.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            in_progress.fetch_sub(1, Ordering::SeqCst);
            (DeliveryOutcome::Completed, delivery)
        }
    };
    let slots = Arc::new(Semaphore::new(3));
    let unfinished =
        handle_all(&slots, &limiter(&CancellationToken::new()), deliveries(1..=20), deliver).await;
    assert!(unfinished.deliveries.is_empty());
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_closing_limiter_leaves_what_waits_for_a_slot_and_finishes_what_was_begun() {
    let closing = CancellationToken::new();
    let limiter = limiter(&closing);
    let release = CancellationToken::new();
    let deliver = |delivery: DeliveryMessage| {
        let release = release.clone();
        async move {
            release.cancelled().await;
            (DeliveryOutcome::Attempted { delivered: true }, delivery)
        }
    };
    let slots = Arc::new(Semaphore::new(2));
    let mut handling = Box::pin(handle_all(&slots, &limiter, deliveries(1..=5), deliver));
    assert!((&mut handling).now_or_never().is_none());
    closing.cancel();
    assert!((&mut handling).now_or_never().is_none(), "two are in progress");
    release.cancel();
    assert_eq!(rounds(&handling.await), [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_gets_no_slot_in_time_is_left() {
    let slots = Arc::new(Semaphore::new(0));
    let began = Instant::now();
    let deliver = |delivery: DeliveryMessage| async move { (DeliveryOutcome::Completed, delivery) };
    let unfinished =
        handle_all(&slots, &limiter(&CancellationToken::new()), deliveries(1..=3), deliver).await;
    assert_eq!(rounds(&unfinished), [1, 2, 3]);
    assert_eq!(began.elapsed(), SLOT_TIMEOUT, "one timeout for the whole message");
}
