//! Records when tokens were used, apart from the requests.
//!
//! A request only notes its token in memory. A task writes the notes, each token at most once a minute, so that the column
//! `last_used` costs a request nothing and the database little. Notes are lost when the process ends; the next use is
//! recorded again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

/// Interval at which the notes are written.
pub(crate) const WRITE_INTERVAL: Duration = Duration::from_secs(5);
/// Shortest time between two writes of a token.
const MIN_AGE: Duration = Duration::from_secs(60);
/// Most tokens that are noted. Uses of further tokens are recorded later.
const MAX_TOKENS: usize = 100_000;
/// Most tokens that are written in one statement.
const MAX_BATCH: usize = 1000;

/// The tokens that were used lately.
#[derive(Debug, Default)]
pub(crate) struct TokenUses(Mutex<HashMap<Uuid, Use>>);

#[derive(Debug, Clone, Copy)]
struct Use {
    at: Timestamp,
    /// Whether the use is not written.
    is_new: bool,
    written: Option<Instant>,
}

impl TokenUses {
    /// Notes that a token was used.
    pub(crate) fn note(&self, token: Uuid, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = uses.len() < MAX_TOKENS;
        match uses.get_mut(&token) {
            Some(noted) => {
                noted.at = at;
                noted.is_new = true;
            }
            None if has_room => {
                uses.insert(token, Use { at, is_new: true, written: None });
            }
            None => {}
        }
    }

    /// Takes the uses that are to be written, and forgets tokens that were not used since they were written.
    pub(crate) fn take_due(&self, now: Instant) -> Vec<(Uuid, Timestamp)> {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |noted: &Use| noted.written.is_some_and(|written| now - written < MIN_AGE);
        uses.retain(|_, noted| noted.is_new || is_recent(noted));
        let mut due = Vec::new();
        for (token, noted) in uses.iter_mut().filter(|(_, noted)| noted.is_new && !is_recent(noted)) {
            if due.len() == MAX_BATCH {
                break;
            }
            noted.is_new = false;
            noted.written = Some(now);
            due.push((*token, noted.at));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_token_is_written_at_its_first_use_and_then_once_a_minute() {
        let uses = TokenUses::default();
        let token = Uuid::from_u128(7);
        let began = Instant::now();
        let mut written = Vec::new();
        for second in 0..150_i64 {
            uses.note(token, at(second));
            let now = began + Duration::from_secs(second.unsigned_abs());
            written.extend(uses.take_due(now));
        }
        assert_eq!(written, [0, 60, 120].map(|second| (token, at(second))));
    }

    #[test]
    fn a_token_that_is_not_used_is_forgotten_and_many_are_written_in_parts() {
        let uses = TokenUses::default();
        let now = Instant::now();
        (0..1500).for_each(|number| uses.note(Uuid::from_u128(number), at(0)));
        assert_eq!(
            [uses.take_due(now).len(), uses.take_due(now).len(), uses.take_due(now).len()],
            [1000, 500, 0]
        );
        assert!(uses.take_due(now + MIN_AGE).is_empty());
        assert!(uses.0.lock().expect("a map").is_empty());
    }

    #[test]
    fn the_memory_is_bounded() {
        let uses = TokenUses::default();
        let many = u128::try_from(MAX_TOKENS).expect("a number") + 10;
        (0..many).for_each(|number| uses.note(Uuid::from_u128(number), at(0)));
        assert_eq!(uses.0.lock().expect("a map").len(), MAX_TOKENS);
    }
}
