//! Tests of all transitions from all states.

use futures_util::FutureExt;

use super::*;

/// A state without its tokens, so that states can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connecting,
    Subscribed(u64),
    Active(u64),
    Draining(u64, bool, Ending),
    CutOff,
    Closed,
}

fn kind(state: &SubscriptionState) -> Kind {
    match state {
        SubscriptionState::Connecting => Kind::Connecting,
        SubscriptionState::Subscribed(epoch) => Kind::Subscribed(epoch.number),
        SubscriptionState::Active(epoch) => Kind::Active(epoch.number),
        SubscriptionState::Draining { epoch, was_active, ending } => {
            Kind::Draining(epoch.number, *was_active, *ending)
        }
        SubscriptionState::CutOff { .. } => Kind::CutOff,
        SubscriptionState::Closed => Kind::Closed,
    }
}

fn draining(was_active: bool, ending: Ending) -> SubscriptionState {
    SubscriptionState::Draining { epoch: SubscriptionEpoch::new(1), was_active, ending }
}

fn states() -> Vec<SubscriptionState> {
    vec![
        SubscriptionState::Connecting,
        SubscriptionState::Subscribed(SubscriptionEpoch::new(1)),
        SubscriptionState::Active(SubscriptionEpoch::new(1)),
        draining(false, Ending::Cancelled),
        draining(true, Ending::Closed),
        SubscriptionState::CutOff { ended: CancellationToken::new() },
        SubscriptionState::Closed,
    ]
}

fn drain(epoch: Option<u64>, ending: Ending) -> SubscriptionChange {
    SubscriptionChange::Draining { epoch, ending }
}

/// Where each transition leads from each of [`states`], in their order; `None` where nothing changes.
#[test]
fn every_transition_leads_from_every_state_where_the_table_says() {
    let cancelled = |was_active| Some(Kind::Draining(1, was_active, Ending::Cancelled));
    let closed = |was_active| Some(Kind::Draining(1, was_active, Ending::Closed));
    let back = Some(Kind::Connecting);
    let subscribed = Some(Kind::Subscribed(2));
    let end = Some(Kind::Closed);
    let table = [
        (
            SubscriptionChange::Subscribed(SubscriptionEpoch::new(2)),
            [subscribed, None, None, None, None, subscribed, None],
        ),
        (SubscriptionChange::MessageReceived, [None, Some(Kind::Active(1)), None, None, None, None, None]),
        (drain(None, Ending::Closed), [None, closed(false), closed(true), None, None, None, None]),
        (
            drain(Some(1), Ending::Cancelled),
            [None, cancelled(false), cancelled(true), None, None, None, None],
        ),
        (drain(Some(9), Ending::Cancelled), [None; 7]),
        (SubscriptionChange::Ended, [None, back, back, back, back, None, None]),
        (SubscriptionChange::QueueLost, [Some(Kind::CutOff), None, None, None, None, None, None]),
        (SubscriptionChange::Closed, [end, end, end, end, end, end, None]),
    ];
    for (change, expected) in table {
        for (state, expected) in states().iter().zip(expected) {
            let next = state.after(&change);
            assert_eq!(next.as_ref().map(kind), expected, "{change:?} from {:?}", kind(state));
        }
    }
}

#[test]
fn a_replica_sends_from_the_database_while_it_is_active_or_the_queue_is_lost() {
    let sends: Vec<bool> = states().iter().map(|state| state.sends_until().is_some()).collect();
    assert_eq!(sends, [false, false, true, false, true, true, false]);
    let active: Vec<bool> = states().iter().map(SubscriptionState::is_active).collect();
    assert_eq!(active, [false, false, true, false, true, false, false]);
    let cut_off: Vec<bool> = states().iter().map(SubscriptionState::is_cut_off).collect();
    assert_eq!(cut_off, [false, false, false, false, false, true, false]);
}

#[test]
fn the_token_of_a_subscription_lives_from_its_start_to_its_end() {
    let state = SharedState::default();
    let epoch = SubscriptionEpoch::new(1);
    let steps = [
        (SubscriptionChange::Subscribed(epoch.clone()), false),
        (SubscriptionChange::MessageReceived, false),
        (drain(None, Ending::Cancelled), false),
        (SubscriptionChange::Ended, true),
    ];
    for (change, is_ended) in steps {
        assert!(state.apply(&change), "{change:?}");
        assert_eq!(epoch.ended.is_cancelled(), is_ended, "{change:?}");
    }
}

#[test]
fn a_closed_worker_ends_whatever_there_was() {
    for initial in states() {
        let token = initial.token().cloned();
        let state = SharedState(watch::Sender::new(initial));
        state.apply(&SubscriptionChange::Closed);
        assert!(token.is_none_or(|token| token.is_cancelled()));
        assert!(!state.apply(&SubscriptionChange::Subscribed(SubscriptionEpoch::new(2))), "it stays closed");
    }
}

#[test]
fn a_new_subscription_ends_an_outage_and_a_second_loss_does_not_begin_another() {
    let state = SharedState::default();
    assert!(state.apply(&SubscriptionChange::QueueLost));
    let outage = state.sends_until().expect("the owner attempts from the database");
    assert!(!state.apply(&SubscriptionChange::QueueLost));
    assert!(!outage.is_cancelled());
    assert!(state.apply(&SubscriptionChange::Subscribed(SubscriptionEpoch::new(1))));
    assert!(outage.is_cancelled() && !state.is_cut_off());
}

#[tokio::test]
async fn the_consumer_learns_of_an_ending_that_was_decided_before_or_after_it_waits() {
    let state = SharedState::default();
    state.apply(&SubscriptionChange::Subscribed(SubscriptionEpoch::new(1)));
    assert!(state.wait_for_ending().now_or_never().is_none());
    let (ending, _) = tokio::join!(state.wait_for_ending(), async {
        tokio::task::yield_now().await;
        state.apply(&drain(Some(1), Ending::Closed))
    });
    assert_eq!(ending, Ending::Closed);
    assert_eq!(state.wait_for_ending().now_or_never(), Some(Ending::Closed));
}
