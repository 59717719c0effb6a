//! Storing a batch: matched and stored at one version of the configuration, and in halves when PostgreSQL
//! refuses the whole, so that one event that cannot be stored stops nobody else's.

use broker::Message;
use chrono::TimeDelta;
use domain::event::{RejectReason, Rejection};
use runtime::retry::Backoff;
use store::StoreError;
use store::clock;
use store::ingest;

use crate::current::{self, Current};
use crate::events;
use crate::handler::Handler;
use crate::take::{Sorted, Taken, Wanted};

/// What became of a batch.
#[derive(Default)]
pub(crate) struct Stored<'a> {
    /// The events that are stored.
    pub(crate) events: Vec<StoredEvent<'a>>,
    /// How many had the identity of another in the batch.
    pub(crate) repeated: usize,
    /// How many were dropped, for their type is not enabled for the brand.
    pub(crate) not_enabled: usize,
    /// What was refused.
    pub(crate) refused: Vec<(&'a Message, Rejection)>,
}

/// An event that is stored.
pub(crate) struct StoredEvent<'a> {
    pub(crate) wanted: Wanted<'a>,
    /// Whether it was taken by the try that was answered.
    pub(crate) fresh: bool,
    /// An earlier try got no answer: it may have stored what is not fresh now.
    pub(crate) retried: bool,
}

/// Events that are stored together.
struct Part<'a> {
    events: Vec<&'a Taken<'a>>,
    retried: bool,
    /// Whether the partitions that it needs were created for it.
    has_partitions: bool,
}

/// How to go on with a part that could not be stored.
enum Next {
    Again,
    Halve,
    /// It is one event, which PostgreSQL refuses with these words.
    Refuse(String),
}

impl Handler {
    /// Matches and stores a batch, part by part.
    pub(crate) async fn store_matched<'a>(&mut self, taken: &'a [Taken<'a>]) -> Stored<'a> {
        let mut stored = Stored::default();
        let mut parts = vec![Part { events: taken.iter().collect(), retried: false, has_partitions: false }];
        while let Some(part) = parts.pop() {
            if !part.events.is_empty() {
                self.store_part(part, &mut stored, &mut parts).await;
            }
        }
        stored
    }

    /// Stores a part, or leaves its halves to be stored.
    async fn store_part<'a>(
        &mut self,
        mut part: Part<'a>,
        stored: &mut Stored<'a>,
        parts: &mut Vec<Part<'a>>,
    ) {
        let mut backoff = Backoff::default();
        loop {
            match current::store(&self.store, &mut self.index, &part.events).await {
                Ok(Current { sorted, fresh, matching, storing, .. }) => {
                    events::batch_stored(matching, storing);
                    self.progress.advance();
                    return stored.add(sorted, fresh, part.retried);
                }
                Err(error) => {
                    events::step_failed("store", &error);
                    part.retried |= !error.is_refused();
                    match self.after_failure(&error, &mut part, stored, &mut backoff).await {
                        Next::Again => {}
                        Next::Halve => return parts.extend(part.halves()),
                        Next::Refuse(detail) => return stored.refuse(&part, &detail),
                    }
                }
            }
        }
    }

    /// A database that is away is waited for. A refused statement is tried again without the events that are out of
    /// range by now, then with the partitions that it misses, and then in halves.
    async fn after_failure<'a>(
        &self,
        error: &StoreError,
        part: &mut Part<'a>,
        stored: &mut Stored<'a>,
        backoff: &mut Backoff,
    ) -> Next {
        if !error.is_refused() {
            backoff.wait().await;
            return if error.is_overload() && part.events.len() > 1 { Next::Halve } else { Next::Again };
        }
        if self.drop_expired(part, stored) {
            return Next::Again;
        }
        if error.misses_partition() && !part.has_partitions {
            self.make_partitions(part).await;
            return Next::Again;
        }
        if part.events.len() > 1 {
            return Next::Halve;
        }
        // Nothing is rejected over a database that refuses whatever it is asked, such as for want of a permission.
        match ingest::probe(&self.store).await {
            Ok(()) => Next::Refuse(error.refusal()),
            Err(error) => {
                events::step_failed("store", &error);
                backoff.wait().await;
                Next::Again
            }
        }
    }

    /// Refuses those events of a part whose time has passed since they were decoded; whether there were any.
    fn drop_expired<'a>(&self, part: &mut Part<'a>, stored: &mut Stored<'a>) -> bool {
        let retention = TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX);
        let now = clock::now();
        let before = part.events.len();
        part.events.retain(|taken| match taken.expired(now, retention) {
            None => true,
            Some(rejection) => {
                stored.refused.push((taken.message, rejection));
                false
            }
        });
        part.events.len() < before
    }

    /// Creates the partitions that a part needs, unless the database refuses that.
    async fn make_partitions(&self, part: &mut Part<'_>) {
        part.has_partitions = true;
        let mut backoff = Backoff::default();
        while let Err(error) = store::partitions::create(&self.store, self.retention).await {
            events::step_failed("partitions", &error);
            if error.is_refused() {
                return;
            }
            backoff.wait().await;
        }
    }
}

impl<'a> Stored<'a> {
    fn add(&mut self, sorted: Sorted<'a>, fresh: Vec<bool>, retried: bool) {
        let stored = |(wanted, fresh)| StoredEvent { wanted, fresh, retried };
        self.events.extend(sorted.wanted.into_iter().zip(fresh).map(stored));
        self.repeated += sorted.repeated;
        self.not_enabled += sorted.not_enabled;
        self.refused.extend(sorted.refused);
    }

    fn refuse(&mut self, part: &Part<'a>, detail: &str) {
        let rejection = Rejection::new(RejectReason::StorageRefused, detail);
        self.refused.extend(part.events.iter().map(|taken| (taken.message, rejection.clone())));
    }
}

impl<'a> Part<'a> {
    /// Both halves; the one that is stored first is last.
    fn halves(mut self) -> [Self; 2] {
        let second = self.events.split_off(self.events.len() / 2);
        [Self { events: second, ..self }, self]
    }
}
