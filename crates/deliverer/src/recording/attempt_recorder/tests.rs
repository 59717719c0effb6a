//! Tests of the recorder against a database that refuses some attempts.

use std::cell::{Cell, RefCell};

use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::{Facts, Trigger};
use domain::ids::{AttemptId, EventId, WebhookId};
use domain::time::Timestamp;
use futures_util::future::join_all;
use store::delivery::record::DeliveryKey;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::*;

fn attempt(number: u128) -> AttemptRecord {
    AttemptRecord {
        key: DeliveryKey {
            webhook: WebhookId(Uuid::from_u128(7)),
            created: Timestamp::UNIX_EPOCH,
            event: EventId::from_uuid(Uuid::from_u128(number)),
        },
        round: i32::try_from(number).expect("few"),
        attempt: AttemptId::from_uuid(Uuid::from_u128(number)),
        started: Timestamp::UNIX_EPOCH,
        first_started: Timestamp::UNIX_EPOCH,
        ended: Timestamp::UNIX_EPOCH,
        duration_ms: 1,
        facts: Facts { response_body: Some("a body".to_owned()), ..Facts::from_status(500) },
        exchange: vec![1],
        trigger: Trigger::Fresh,
        status: DeliveryStatus::Failed,
        next_attempt_at: None,
        counts: true,
    }
}

fn refused() -> StoreError {
    StoreError::Refused(tokio_postgres::Error::__private_api_timeout().into())
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("a test".into())
}

/// How much of the bad attempt PostgreSQL refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Its details.
    Details,
    /// The attempt, whatever is left out.
    Attempt,
    /// The outcome, too.
    Everything,
}

/// A database that refuses one attempt, and is away for the first calls.
struct Database {
    bad: Option<(u128, Refusal)>,
    away_for: Cell<u32>,
    is_broken_for: Cell<u32>,
    batches: RefCell<Vec<usize>>,
}

impl Database {
    fn healthy() -> Self {
        Self { bad: None, away_for: Cell::new(0), is_broken_for: Cell::new(0), batches: RefCell::default() }
    }

    fn refusing(number: u128, refusal: Refusal) -> Self {
        Self { bad: Some((number, refusal)), ..Self::healthy() }
    }

    fn is_bad(&self, attempt: &AttemptRecord) -> Option<Refusal> {
        let (number, refusal) = self.bad?;
        (attempt.attempt == AttemptId::from_uuid(Uuid::from_u128(number))).then_some(refusal)
    }

    fn count_down(counter: &Cell<u32>) -> bool {
        let left = counter.get();
        counter.set(left.saturating_sub(1));
        left > 0
    }
}

/// The row of an attempt's delivery. Its round tells whose it is.
fn row(attempt: &AttemptRecord) -> Option<RoundStatus> {
    Some(RoundStatus { status: attempt.status, round: attempt.round })
}

impl RecordStatements for Database {
    async fn record_all(&self, attempts: &[AttemptRecord]) -> Result<Vec<Option<RoundStatus>>, StoreError> {
        self.batches.borrow_mut().push(attempts.len());
        if Self::count_down(&self.away_for) {
            return Err(unavailable());
        }
        let is_refused = |attempt: &AttemptRecord| match self.is_bad(attempt) {
            Some(Refusal::Details) => attempt.facts.response_body.is_some(),
            Some(Refusal::Attempt | Refusal::Everything) => true,
            None => Self::count_down(&self.is_broken_for),
        };
        if attempts.iter().any(is_refused) {
            return Err(refused());
        }
        Ok(attempts.iter().map(row).collect())
    }

    async fn record_outcome(&self, attempt: &AttemptRecord) -> Result<Option<RoundStatus>, StoreError> {
        match self.is_bad(attempt) {
            Some(Refusal::Everything) => Err(refused()),
            _ => Ok(row(attempt)),
        }
    }

    async fn probe(&self) -> Result<(), StoreError> {
        if Self::count_down(&self.is_broken_for) { Err(refused()) } else { Ok(()) }
    }
}

/// Records attempts of these numbers, and returns the rounds of the replies.
async fn recorded(database: &Database, numbers: &[u128]) -> Vec<i32> {
    let (batch, replies): (Vec<_>, Vec<_>) = numbers
        .iter()
        .map(|number| {
            let (sender, reply) = oneshot::channel();
            ((attempt(*number), sender), reply)
        })
        .unzip();
    record_batch(database, batch).await;
    let replies = join_all(replies).await.into_iter();
    replies.map(|reply| reply.expect("a reply").expect("a row").round).collect()
}

#[tokio::test]
async fn a_batch_takes_one_statement() {
    let database = Database::healthy();
    assert_eq!(recorded(&database, &[1, 2, 3, 4]).await, [1, 2, 3, 4]);
    assert_eq!(database.batches.into_inner(), [4]);
}

#[tokio::test]
async fn a_refused_attempt_is_found_by_halving_and_the_others_are_recorded() {
    for refusal in [Refusal::Details, Refusal::Attempt, Refusal::Everything] {
        let database = Database::refusing(3, refusal);
        let replies = recorded(&database, &[1, 2, 3, 4, 5, 6, 7, 8]).await;
        assert_eq!(replies, [1, 2, 3, 4, 5, 6, 7, 8]);
        let batches = database.batches.into_inner();
        // All; its first half; that one's second half; the bad one alone.
        assert_eq!(&batches[..5], [8, 4, 2, 2, 1]);
        assert!(batches.len() <= 9, "{batches:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_gets_the_whole_batch_again() {
    let database = Database { away_for: Cell::new(3), ..Database::healthy() };
    let began = Instant::now();
    assert_eq!(recorded(&database, &[1, 2]).await, [1, 2]);
    assert_eq!(database.batches.into_inner(), [2, 2, 2, 2]);
    assert_eq!(began.elapsed().as_millis(), 100 + 200 + 400);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_out_while_the_database_refuses_every_statement() {
    // The attempt alone, without details, and the probe: all are refused. Then the database recovers.
    let database = Database { is_broken_for: Cell::new(3), ..Database::healthy() };
    let began = Instant::now();
    assert_eq!(recorded(&database, &[1]).await, [1]);
    assert_eq!(database.batches.into_inner(), [1, 1, 1], "no outcome without its attempt");
    assert!(!began.elapsed().is_zero());
}

#[test]
fn a_statement_holds_each_delivery_once_in_the_order_of_the_key() {
    let request = |number| (attempt(number), oneshot::channel().0);
    let (batch, rest) = split_batch([3, 1, 3, 2, 1, 3].map(request).into());
    let events = |requests: &[Request]| -> Vec<i32> { requests.iter().map(|(a, _)| a.round).collect() };
    assert_eq!(events(&batch), [1, 2, 3]);
    assert_eq!(events(&rest), [3, 1, 3], "later attempts keep their order");
}

#[test]
fn a_batch_is_bounded_in_bytes_and_has_at_least_one_attempt() {
    let request = |(number, bytes): (u128, usize)| {
        let exchange = vec![0; bytes];
        (AttemptRecord { exchange, ..attempt(number) }, oneshot::channel().0)
    };
    let numbers = |requests: &[Request]| {
        requests.iter().map(|(attempt, _)| attempt.key.event.to_uuid().as_u128()).collect::<Vec<_>>()
    };
    let half = MAX_BATCH_BYTES / 2;
    let (batch, rest) = split_batch([(1, half), (2, half), (3, 1)].map(request).into());
    assert_eq!((numbers(&batch), numbers(&rest)), (vec![1], vec![2, 3]), "the texts count, too");
    let (batch, rest) = split_batch([(1, 2 * MAX_BATCH_BYTES), (2, 1)].map(request).into());
    assert_eq!((numbers(&batch), numbers(&rest)), (vec![1], vec![2]));
}
