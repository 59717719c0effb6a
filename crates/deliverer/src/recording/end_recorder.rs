//! Records the ends of deliveries that get no further attempt, in batches.
//!
//! Such ends come in floods: a webhook that is paused ends as many deliveries as wait in its queue. One statement for
//! each of them would keep every connection busy for minutes, so that all that end during one statement share the next.

use std::collections::HashSet;
use std::time::Duration;

use runtime::progress::WorkProgress;
use runtime::retry::Backoff;
use runtime::tasks;
use store::delivery::record::{self, DeliveryEnd, MAX_BATCH};
use store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::recording::batcher::{self, Batcher, reply_to};
use crate::telemetry::{self, Operation};

/// Ends that may wait for the recorder. Beyond, the tasks that handle the deliveries wait.
const QUEUE_CAPACITY: usize = 2 * MAX_BATCH;

type Request = batcher::Request<DeliveryEnd, bool>;

/// Records the ends of deliveries. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct EndRecorder(Batcher<DeliveryEnd, bool>);

impl EndRecorder {
    /// Starts the recorder with its task in the background.
    pub(crate) fn start(store: Store, slice: Duration, progress: WorkProgress) -> Self {
        let (batcher, requests) = Batcher::new(QUEUE_CAPACITY);
        tasks::spawn_named("end recorder", run(Statements { store, slice }, progress, requests));
        Self(batcher)
    }

    /// Records the end of a delivery, however long the database is away. Returns whether it ended now.
    pub(crate) async fn record(&self, end: DeliveryEnd) -> bool {
        self.0.submit(end).await
    }
}

/// The database, as the recorder needs it.
trait Database {
    /// Ends deliveries. Returns for each whether it ended now.
    async fn finish(&self, ends: &[DeliveryEnd]) -> Result<Vec<bool>, StoreError>;
}

#[derive(Debug)]
struct Statements {
    store: Store,
    /// The length of the slices in which a webhook's activity is counted.
    slice: Duration,
}

impl Database for Statements {
    async fn finish(&self, ends: &[DeliveryEnd]) -> Result<Vec<bool>, StoreError> {
        record::finish_deliveries(&self.store, ends, Some(self.slice)).await
    }
}

async fn run(statements: Statements, progress: WorkProgress, mut requests: mpsc::Receiver<Request>) {
    let mut waiting: Vec<Request> = Vec::new();
    loop {
        if waiting.is_empty() && requests.recv_many(&mut waiting, MAX_BATCH).await == 0 {
            return;
        }
        let (batch, rest) = split_repeated(std::mem::take(&mut waiting));
        waiting = rest;
        let in_hand = progress.begin();
        let (ends, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let ended = finish_all(&statements, &ends).await;
        reply_to(senders, ended);
        in_hand.done();
    }
}

/// Splits off further ends of the same delivery, because one statement updates a row only once.
fn split_repeated(requests: Vec<Request>) -> (Vec<Request>, Vec<Request>) {
    let mut seen = HashSet::new();
    let (mut batch, rest): (Vec<Request>, Vec<Request>) =
        requests.into_iter().partition(|(end, _)| seen.insert(end.key));
    // In the order of the primary key, so that two statements cannot deadlock.
    batch.sort_unstable_by_key(|(end, _)| end.key);
    (batch, rest)
}

/// Ends deliveries, in halves if the whole batch cannot be recorded. Returns for each whether it ended now.
///
/// A delivery whose own row PostgreSQL refuses to change stays pending. It is found later as an orphaned one, while the
/// other deliveries go on.
async fn finish_all(database: &impl Database, ends: &[DeliveryEnd]) -> Vec<bool> {
    let mut ended = Vec::with_capacity(ends.len());
    let mut parts = vec![ends];
    let mut backoff = Backoff::default();
    while let Some(part) = parts.pop() {
        let error = match database.finish(part).await {
            Ok(finished) => {
                telemetry::count_end_batch(part.len());
                ended.extend(finished);
                continue;
            }
            Err(error) => error,
        };
        telemetry::report_retry(Operation::FinishDelivery, &error);
        if part.len() > 1 && (!error.is_unavailable() || error.is_overload()) {
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([second, first]);
        } else if !error.is_unavailable() && database.finish(&[]).await.is_ok() {
            ended.push(false);
        } else {
            backoff.wait().await;
            parts.push(part);
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use domain::delivery::DeliveryStatus;
    use domain::ids::{EventId, WebhookId};
    use domain::time::Timestamp;
    use tokio::sync::oneshot;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;

    fn end(number: u128) -> DeliveryEnd {
        let key = record::DeliveryKey {
            webhook: WebhookId(Uuid::from_u128(number)),
            created: Timestamp::UNIX_EPOCH,
            event: EventId::from_uuid(Uuid::from_u128(number)),
        };
        DeliveryEnd { key, round: 1, status: DeliveryStatus::Discarded }
    }

    fn ends(number: u128) -> Vec<DeliveryEnd> {
        (0..number).map(end).collect()
    }

    /// Answers each call with a function of its number, from 1, and its deliveries.
    struct Scripted<F> {
        answer: F,
        sizes: RefCell<Vec<usize>>,
    }

    impl<F: Fn(usize, &[DeliveryEnd]) -> Result<Vec<bool>, StoreError>> Scripted<F> {
        fn new(answer: F) -> Self {
            Self { answer, sizes: RefCell::default() }
        }
    }

    impl<F: Fn(usize, &[DeliveryEnd]) -> Result<Vec<bool>, StoreError>> Database for Scripted<F> {
        async fn finish(&self, ends: &[DeliveryEnd]) -> Result<Vec<bool>, StoreError> {
            self.sizes.borrow_mut().push(ends.len());
            let call = self.sizes.borrow().len();
            (self.answer)(call, ends)
        }
    }

    #[tokio::test]
    async fn a_delivery_that_cannot_be_changed_stays_pending_and_the_others_end() {
        let ends = ends(9);
        let bad = ends[5];
        let database = Scripted::new(|_, part: &[DeliveryEnd]| match part.contains(&bad) {
            true => Err(StoreError::Unreadable("a test".to_owned())),
            false => Ok(vec![true; part.len()]),
        });
        let ended = finish_all(&database, &ends).await;
        let expected: Vec<bool> = (0..9).map(|number| number != 5).collect();
        assert_eq!(ended, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_is_away_is_asked_again_for_the_whole_batch() {
        let began = Instant::now();
        let database = Scripted::new(|call, part: &[DeliveryEnd]| match call {
            1..=3 => Err(StoreError::Unavailable("a test".into())),
            _ => Ok(vec![true; part.len()]),
        });
        assert_eq!(finish_all(&database, &ends(4)).await, [true; 4]);
        assert_eq!(database.sizes.into_inner(), [4, 4, 4, 4], "halves would not help");
        assert_eq!(began.elapsed().as_millis(), 100 + 200 + 400);
    }

    #[test]
    fn a_batch_has_each_delivery_once_in_the_order_of_their_keys() {
        let request = |number| (end(number), oneshot::channel().0);
        let (batch, rest) = split_repeated([3, 1, 3, 2].map(request).into());
        let numbers = |requests: &[Request]| -> Vec<u128> {
            requests.iter().map(|(end, _)| end.key.webhook.0.as_u128()).collect()
        };
        assert_eq!((numbers(&batch), numbers(&rest)), (vec![1, 2, 3], vec![3]));
    }
}
