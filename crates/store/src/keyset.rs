//! Keyset pagination: positions in lists that are ordered by an instant and then by an id.
//!
//! A page is a range between two positions, so that a list stays stable while rows arrive.

use chrono::{DateTime, TimeDelta};
use domain::time::Timestamp;
use uuid::Uuid;

/// A position in a list: of a row, or of a gap between rows. Instants have whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeysetPosition {
    /// The instant.
    pub at: Timestamp,
    /// The id among the rows of that instant.
    pub id: Uuid,
}

/// 9999-12-31T23:59:59.999Z in milliseconds of the Unix epoch, the last instant that RFC 3339 can write.
const MAX_MILLIS: i64 = 253_402_300_799_999;

impl KeysetPosition {
    /// The position before every row.
    pub const FIRST: Self = Self { at: DateTime::UNIX_EPOCH, id: Uuid::nil() };

    /// Returns the position after every row.
    #[must_use]
    pub fn last() -> Self {
        let at = DateTime::from_timestamp_millis(MAX_MILLIS)
            .unwrap_or_else(|| unreachable!("a year of four digits"));
        Self { at, id: Uuid::max() }
    }

    /// Returns the last position before every row of `at`.
    #[must_use]
    pub fn just_before(at: Timestamp) -> Self {
        Self { at: at - TimeDelta::milliseconds(1), id: Uuid::max() }
    }

    /// Returns the position right before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        match self.id.as_u128() {
            0 => Self::just_before(self.at),
            id => Self { at: self.at, id: Uuid::from_u128(id - 1) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_is_the_position_right_before() {
        let at = domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("valid");
        let position = KeysetPosition { at, id: Uuid::from_u128(8) };
        assert_eq!(position.previous(), KeysetPosition { at, id: Uuid::from_u128(7) });
        let first_of_instant = KeysetPosition { at, id: Uuid::nil() };
        assert_eq!(first_of_instant.previous(), KeysetPosition::just_before(at));
        assert!(
            KeysetPosition::FIRST < KeysetPosition::just_before(at)
                && KeysetPosition::just_before(at) < first_of_instant
        );
        assert!(position < KeysetPosition::last());
    }
}
