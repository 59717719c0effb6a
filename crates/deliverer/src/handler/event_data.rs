//! Loads event data that is too large for messages, when its attempt is due.
//!
//! The attempts that load at the same time share a statement. An attempt reserves memory for its data before it loads
//! it (`limiter::attempt_memory`).

use std::borrow::Cow;

use broker::wire::DeliveryMessage;
use domain::delivery::envelope::EventData;
use runtime::progress::WorkProgress;
use runtime::retry::Backoff;
use runtime::tasks;
use store::delivery::event_data::{self, EventKey};
use store::{Store, StoreError};
use tokio::sync::mpsc;

use crate::recording::batcher::{self, Batcher, reply_to};
use crate::telemetry::{self, Operation};

/// Most events of one statement.
const MAX_EVENTS: usize = 64;
/// Bytes of data at which no further event is added to a statement. Its answer is in memory twice for a moment, beside
/// the memory of attempts.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// An event to load, with its size.
type Request = batcher::Request<(EventKey, usize), Loaded>;

/// The answer to a request for data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// The data.
    Data(String),
    /// The event has expired, and its deliveries with it.
    Expired,
    /// PostgreSQL cannot read this event.
    Unreadable,
}

/// The data of a delivery, or why there is none.
#[derive(Debug)]
pub(crate) enum DeliveryData<'a> {
    /// The data.
    Available(Cow<'a, str>),
    /// The event has expired, and its deliveries with it.
    Expired,
    /// PostgreSQL cannot read this event.
    Unreadable,
}

/// Loads event data. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct EventDataLoader(Batcher<(EventKey, usize), Loaded>);

impl EventDataLoader {
    /// Starts the loader with its task in the background.
    pub(crate) fn start(store: Store, progress: WorkProgress) -> Self {
        let (batcher, requests) = Batcher::new(MAX_EVENTS);
        tasks::spawn_named("event data", run(store, progress, requests));
        Self(batcher)
    }

    /// Returns the data of a delivery. Data that its message does not contain is loaded, however long the database is
    /// away.
    pub(crate) async fn data_of<'a>(&self, message: &'a DeliveryMessage) -> DeliveryData<'a> {
        let bytes = match &message.data {
            EventData::Inline(data) => return DeliveryData::Available(Cow::Borrowed(data)),
            EventData::Stored { bytes } => *bytes,
        };
        let head = &message.head;
        let key = EventKey { id: head.id, brand_id: head.brand_id.clone(), created: head.created };
        match self.0.submit((key, bytes)).await {
            Loaded::Data(data) => DeliveryData::Available(Cow::Owned(data)),
            Loaded::Expired => DeliveryData::Expired,
            Loaded::Unreadable => DeliveryData::Unreadable,
        }
    }
}

/// The database, as the loader needs it.
trait Database {
    /// Loads a batch. Returns the data in the order of its keys.
    async fn load(&self, events: &[EventKey]) -> Result<Vec<Option<String>>, StoreError>;
}

impl Database for Store {
    async fn load(&self, events: &[EventKey]) -> Result<Vec<Option<String>>, StoreError> {
        event_data::load_data(self, events).await
    }
}

async fn run(store: Store, progress: WorkProgress, mut requests: mpsc::Receiver<Request>) {
    while let Some(first) = requests.recv().await {
        let batch = gather(first, &mut requests);
        let in_hand = progress.begin();
        let (events, senders): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|((event, _), sender)| (event, sender)).unzip();
        let loaded = load_all(&store, &events).await;
        let bytes = loaded.iter().map(|loaded| if let Loaded::Data(data) = loaded { data.len() } else { 0 });
        telemetry::count_loaded_bytes(bytes.sum());
        reply_to(senders, loaded);
        in_hand.done();
    }
}

/// Gathers the requests that wait, up to the limits of a statement.
fn gather(first: Request, requests: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.0.1;
    let mut batch = vec![first];
    while batch.len() < MAX_EVENTS && bytes < MAX_BYTES {
        let Ok(request) = requests.try_recv() else { break };
        bytes += request.0.1;
        batch.push(request);
    }
    batch
}

/// Loads events, in halves if the whole batch cannot be read, so that one event cannot stop the others.
async fn load_all(database: &impl Database, events: &[EventKey]) -> Vec<Loaded> {
    let mut loaded = Vec::with_capacity(events.len());
    let mut parts = vec![events];
    let mut backoff = Backoff::default();
    while let Some(part) = parts.pop() {
        let error = match database.load(part).await {
            Ok(data) => {
                loaded.extend(data.into_iter().map(|data| data.map_or(Loaded::Expired, Loaded::Data)));
                continue;
            }
            Err(error) => error,
        };
        telemetry::report_retry(Operation::LoadEventData, &error);
        if part.len() > 1 && (!error.is_unavailable() || error.is_overload()) {
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([second, first]);
        } else if !error.is_unavailable() && database.load(&[]).await.is_ok() {
            loaded.push(Loaded::Unreadable);
        } else {
            backoff.wait().await;
            parts.push(part);
        }
    }
    loaded
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use domain::ids::EventId;
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;

    fn key(number: u128) -> EventKey {
        EventKey {
            id: EventId::from_uuid(Uuid::from_u128(number)),
            brand_id: "acme".parse().expect("a brand"),
            created: domain::time::Timestamp::UNIX_EPOCH,
        }
    }

    fn text(key: &EventKey) -> String {
        key.id.to_uuid().as_u128().to_string()
    }

    /// Answers by a function of the number of the call, from 1, and its keys.
    struct Scripted<F>(F, Cell<usize>);

    impl<F: Fn(usize, &[EventKey]) -> Result<Vec<Option<String>>, StoreError>> Database for Scripted<F> {
        async fn load(&self, events: &[EventKey]) -> Result<Vec<Option<String>>, StoreError> {
            self.1.set(self.1.get() + 1);
            (self.0)(self.1.get(), events)
        }
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_does_not_stop_the_others() {
        let keys: Vec<EventKey> = (0..7).map(key).collect();
        let bad = key(4);
        let answer = |_, part: &[EventKey]| match part.contains(&bad) {
            true => Err(StoreError::Unreadable("a test".to_owned())),
            false => Ok(part.iter().map(|key| (*key != self::key(2)).then(|| text(key))).collect()),
        };
        let loaded = load_all(&Scripted(answer, Cell::new(0)), &keys).await;
        let mut expected: Vec<Loaded> = keys.iter().map(|key| Loaded::Data(text(key))).collect();
        expected[2] = Loaded::Expired;
        expected[4] = Loaded::Unreadable;
        assert_eq!(loaded, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_is_away_is_asked_again() {
        let answer = |call, part: &[EventKey]| match call {
            1..=3 => Err(StoreError::Unavailable("a test".into())),
            _ => Ok(part.iter().map(|key| Some(text(key))).collect()),
        };
        let database = Scripted(answer, Cell::new(0));
        let loaded = load_all(&database, &[key(1)]).await;
        assert_eq!((loaded, database.1.get()), (vec![Loaded::Data("1".to_owned())], 4));
    }

    #[tokio::test]
    async fn a_statement_is_bounded_by_events_and_by_bytes() {
        for (bytes, expected) in [(10_000, MAX_EVENTS), (MAX_BYTES / 4, 4), (10 * MAX_BYTES, 1)] {
            let (sender, mut requests) = mpsc::channel(200);
            for number in 0..200 {
                sender.try_send(((key(number), bytes), oneshot::channel().0)).expect("room");
            }
            let first = requests.recv().await.expect("the first");
            assert_eq!(gather(first, &mut requests).len(), expected, "{bytes}");
        }
    }
}
