//! Looks up what the database knows of deliveries that may have been handled before.
//!
//! The deliveries of one message, and all others that ask meanwhile, share a statement.

use domain::admission::{Recorded, RecordedState};
use runtime::progress::WorkProgress;
use runtime::retry::Backoff;
use runtime::tasks;
use store::delivery::record::{self, DeliveryKey, DeliveryState, MAX_BATCH};
use store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::recording::batcher::{Batcher, Request, reply_to};
use crate::telemetry::{self, Operation};

type Found = Option<DeliveryState>;

/// Looks deliveries up. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryLookup(Batcher<DeliveryKey, Found>);

impl DeliveryLookup {
    /// Starts the lookup with its task in the background.
    pub(crate) fn start(store: Store, progress: WorkProgress) -> Self {
        let (batcher, requests) = Batcher::new(MAX_BATCH);
        tasks::spawn_named("delivery lookup", run(store, progress, requests));
        Self(batcher)
    }

    /// Looks a delivery up, however long the database is away.
    pub(crate) async fn find(&self, delivery: DeliveryKey) -> Recorded {
        self.0.submit(delivery).await.map_or(Recorded::Expired, |found| {
            Recorded::State(RecordedState {
                status: found.status,
                round: found.round,
                attempts: found.attempts,
                first_started: found.first_attempt_at,
                next_attempt_at: found.next_attempt_at,
            })
        })
    }
}

/// The database, as the lookup needs it.
trait Database {
    /// Looks up a batch. Returns the deliveries in the order of their keys.
    async fn look_up(&self, keys: &[DeliveryKey]) -> Result<Vec<Found>, StoreError>;
}

impl Database for Store {
    async fn look_up(&self, keys: &[DeliveryKey]) -> Result<Vec<Found>, StoreError> {
        record::load_states(self, keys).await
    }
}

async fn run(
    store: Store,
    progress: WorkProgress,
    mut requests: mpsc::Receiver<Request<DeliveryKey, Found>>,
) {
    let mut waiting = Vec::new();
    while requests.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let in_hand = progress.begin();
        let (keys, senders): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let found = look_up_all(&store, &keys).await;
        reply_to(senders, found);
        in_hand.done();
    }
}

/// Looks deliveries up, in halves if the whole batch cannot be read.
///
/// Nothing is known of a delivery whose own row cannot be read. Its message then counts: an attempt may be made twice,
/// because otherwise none would be made.
async fn look_up_all(database: &impl Database, keys: &[DeliveryKey]) -> Vec<Found> {
    let mut found = Vec::with_capacity(keys.len());
    let mut parts = vec![keys];
    let mut backoff = Backoff::default();
    while let Some(part) = parts.pop() {
        let error = match database.look_up(part).await {
            Ok(states) => {
                found.extend(states);
                continue;
            }
            Err(error) => error,
        };
        telemetry::report_retry(Operation::LookUpDelivery, &error);
        if part.len() > 1 && (!error.is_unavailable() || error.is_overload()) {
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([second, first]);
        } else if !error.is_unavailable() && database.look_up(&[]).await.is_ok() {
            found.push(Some(DeliveryState::UNKNOWN));
        } else {
            backoff.wait().await;
            parts.push(part);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use domain::ids::WebhookId;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;

    fn keys(number: u128) -> Vec<DeliveryKey> {
        let key = |n| DeliveryKey {
            webhook: WebhookId(Uuid::from_u128(n)),
            created: domain::time::Timestamp::UNIX_EPOCH,
            event: domain::ids::EventId::from_uuid(Uuid::from_u128(n)),
        };
        (0..number).map(key).collect()
    }

    /// A state that tells which delivery it is of, by the number of its attempts.
    fn state_of(key: &DeliveryKey) -> Found {
        let attempts = i32::try_from(key.webhook.0.as_u128()).expect("few");
        let unknown = DeliveryState::UNKNOWN;
        Some(DeliveryState { attempts, ..unknown })
    }

    fn attempts(found: &[Found]) -> Vec<i32> {
        found.iter().map(|state| state.expect("known").attempts).collect()
    }

    fn unreadable() -> StoreError {
        StoreError::Unreadable("a test".to_owned())
    }

    fn unavailable() -> StoreError {
        StoreError::Unavailable("a test".into())
    }

    /// Answers each call with a function of its number, from 1, and its keys.
    struct Scripted<F> {
        answer: F,
        sizes: RefCell<Vec<usize>>,
    }

    impl<F: Fn(usize, &[DeliveryKey]) -> Result<Vec<Found>, StoreError>> Scripted<F> {
        fn new(answer: F) -> Self {
            Self { answer, sizes: RefCell::default() }
        }
    }

    impl<F: Fn(usize, &[DeliveryKey]) -> Result<Vec<Found>, StoreError>> Database for Scripted<F> {
        async fn look_up(&self, keys: &[DeliveryKey]) -> Result<Vec<Found>, StoreError> {
            self.sizes.borrow_mut().push(keys.len());
            let call = self.sizes.borrow().len();
            (self.answer)(call, keys)
        }
    }

    #[tokio::test]
    async fn a_delivery_that_cannot_be_read_is_unknown_and_the_others_are_found_in_order() {
        let keys = keys(9);
        let bad = keys[5];
        let database = Scripted::new(|_, part: &[DeliveryKey]| match part.contains(&bad) {
            true => Err(unreadable()),
            false => Ok(part.iter().map(state_of).collect()),
        });
        let found = look_up_all(&database, &keys).await;
        let unknown = DeliveryState::UNKNOWN.attempts;
        assert_eq!(attempts(&found), [0, 1, 2, 3, 4, unknown, 6, 7, 8]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_is_away_is_asked_again_for_the_whole_batch() {
        let began = Instant::now();
        let database = Scripted::new(|call, part: &[DeliveryKey]| match call {
            1..=3 => Err(unavailable()),
            _ => Ok(part.iter().map(state_of).collect()),
        });
        let found = look_up_all(&database, &keys(4)).await;
        assert_eq!(attempts(&found), [0, 1, 2, 3]);
        assert_eq!(database.sizes.into_inner(), [4, 4, 4, 4], "halves would not help");
        assert_eq!(began.elapsed().as_millis(), 100 + 200 + 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_delivery_is_not_called_unknown_while_the_database_refuses_everything() {
        // The first two fail: the lookup itself, and the empty lookup by which the batch probes the table.
        let database = Scripted::new(|call, part: &[DeliveryKey]| match call {
            1 | 2 => Err(unreadable()),
            _ => Ok(part.iter().map(state_of).collect()),
        });
        let found = look_up_all(&database, &keys(1)).await;
        assert_eq!(attempts(&found), [0]);
        assert_eq!(database.sizes.into_inner(), [1, 0, 1]);
    }
}
