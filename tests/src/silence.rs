//! Measures how long a path received no request, while others did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::receiver::{Received, Witness};
use crate::script::Reply;

/// A witness that times the silence of each path, and leaves the answer to another witness.
#[derive(Debug)]
pub struct Silence {
    witness: Arc<dyn Witness>,
    paths: Mutex<BTreeMap<String, Pause>>,
}

/// The pauses between the requests of a path.
#[derive(Debug, Clone, Copy)]
struct Pause {
    since: Instant,
    longest: Duration,
}

impl Silence {
    /// Times the requests that this witness answers.
    #[must_use]
    pub fn in_front_of(witness: Arc<dyn Witness>) -> Self {
        Self { witness, paths: Mutex::default() }
    }

    fn paths(&self) -> MutexGuard<'_, BTreeMap<String, Pause>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts again, as if every path with earlier requests had one now.
    pub fn restart(&self) {
        let start = Pause { since: Instant::now(), longest: Duration::ZERO };
        self.paths().values_mut().for_each(|pause| *pause = start);
    }

    /// Returns the longest pause of each path since the start, including the current one.
    #[must_use]
    pub fn longest_pauses(&self) -> BTreeMap<String, Duration> {
        let longest = |pause: &Pause| pause.longest.max(pause.since.elapsed());
        self.paths().iter().map(|(path, pause)| (path.clone(), longest(pause))).collect()
    }

    /// Returns the paths without a request for longer than this, with their pause.
    #[must_use]
    pub fn pauses_longer_than(&self, limit: Duration) -> BTreeMap<String, Duration> {
        self.longest_pauses().into_iter().filter(|(_, pause)| *pause > limit).collect()
    }
}

impl Witness for Silence {
    fn answer(&self, request: &Received) -> Reply {
        let now = Instant::now();
        let start = Pause { since: now, longest: Duration::ZERO };
        let mut paths = self.paths();
        let pause = paths.entry(request.path.clone()).or_insert(start);
        pause.longest = pause.longest.max(now.duration_since(pause.since));
        pause.since = now;
        drop(paths);
        self.witness.answer(request)
    }
}
