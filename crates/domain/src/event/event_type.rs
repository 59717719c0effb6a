//! Event types, and the groups of types that a webhook can subscribe to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{MAX_EVENT_TYPE_CHARS, MAX_EVENT_TYPE_SEGMENTS};

/// An error about a text that is neither an event type nor a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to 8 segments of A-Z 0-9 _ joined by dots, 128 characters at most, such as NOTIFICATION.SMS.RECEIPT"
)]
pub struct InvalidEventType;

fn check_event_type(text: &str) -> Result<(), InvalidEventType> {
    let segment = |s: &str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let fits = text.len() <= MAX_EVENT_TYPE_CHARS && text.split('.').count() <= MAX_EVENT_TYPE_SEGMENTS;
    if fits && text.split('.').all(segment) { Ok(()) } else { Err(InvalidEventType) }
}

/// The type of an event, such as `NOTIFICATION.SMS.RECEIPT` (contract §1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EventType(String);

impl EventType {
    /// Returns the type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventType {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, InvalidEventType> {
        check_event_type(text).map(|()| Self(text.to_owned()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A type, a group of types, or `*` for all types.
///
/// Webhooks subscribe to patterns, and support enables patterns for a brand.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TypePattern {
    /// `*`, which covers every type.
    All,
    /// A type, or a group, which consists of the first segments of a type.
    Prefix(String),
}

impl TypePattern {
    /// Returns the pattern as text, `*` for all.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => "*",
            Self::Prefix(prefix) => prefix,
        }
    }

    /// Returns whether `type_name` is this type or belongs to this group.
    #[must_use]
    pub fn covers(&self, type_name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => group_covers(prefix, type_name),
        }
    }
}

/// Returns whether the type or group `prefix` equals `name` or consists of its first segments.
#[must_use]
pub fn group_covers(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Returns all patterns that cover `name`: itself, each group that contains it, the longest first, and `*`.
pub fn patterns_covering(name: &str) -> impl Iterator<Item = &str> {
    let groups = name.rmatch_indices('.').map(|(at, _)| &name[..at]);
    std::iter::once(name).chain(groups).chain(std::iter::once("*"))
}

impl FromStr for TypePattern {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, InvalidEventType> {
        if text == "*" {
            return Ok(Self::All);
        }
        check_event_type(text).map(|()| Self::Prefix(text.to_owned()))
    }
}

impl fmt::Display for TypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TypePattern {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TypePattern {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn types_are_checked_at_their_limits() {
        for good in ["A", "A_1.B", "A.B.C.D.E.F.G.H", &"X".repeat(128)] {
            assert!(good.parse::<EventType>().is_ok(), "{good}");
        }
        for bad in
            ["", ".", "A.", ".A", "A..B", "a", "A-B", "*", "A.*", "A.B.C.D.E.F.G.H.I", &"X".repeat(129)]
        {
            assert!(bad.parse::<EventType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn groups_cover_whole_segments() {
        let covers = |p: &str, t: &str| p.parse::<TypePattern>().expect("pattern").covers(t);
        assert!(covers("NOTIFICATION", "NOTIFICATION.SMS.RECEIPT"));
        assert!(covers("NOTIFICATION.SMS", "NOTIFICATION.SMS.RECEIPT"));
        assert!(covers("NOTIFICATION.SMS.RECEIPT", "NOTIFICATION.SMS.RECEIPT"));
        assert!(covers("*", "NOTIFICATION.SMS.RECEIPT"));
        assert!(!covers("NOTIFICATION.SM", "NOTIFICATION.SMS.RECEIPT"));
        assert!(!covers("NOTIFICATION.SMS.RECEIPT.X", "NOTIFICATION.SMS.RECEIPT"));
    }

    proptest! {
        #[test]
        fn exactly_the_patterns_that_cover_a_name_are_listed(name in "[A-C]{1,2}(\\.[A-C]{1,2}){0,4}", other in "[A-C]{1,2}(\\.[A-C]{1,2}){0,4}") {
            let listed = patterns_covering(&name).any(|p| p == other);
            prop_assert_eq!(listed, other.parse::<TypePattern>().expect("pattern").covers(&name));
            prop_assert_eq!(patterns_covering(&name).last(), Some("*"));
        }
    }
}
