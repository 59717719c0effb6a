//! Event types and the groups that cover them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{EVENT_TYPE_CHARS, EVENT_TYPE_SEGMENTS};

/// A text that is no event type or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to 8 segments of A-Z 0-9 _ joined by dots, 128 characters at most, such as NOTIFICATION.SMS.RECEIPT"
)]
pub struct InvalidEventType;

fn check(text: &str) -> Result<(), InvalidEventType> {
    let segment = |s: &str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let fits = text.len() <= EVENT_TYPE_CHARS && text.split('.').count() <= EVENT_TYPE_SEGMENTS;
    if fits && text.split('.').all(segment) { Ok(()) } else { Err(InvalidEventType) }
}

/// What happened, such as `NOTIFICATION.SMS.RECEIPT` (contract §1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct EventType(String);

impl EventType {
    /// The type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventType {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, InvalidEventType> {
        check(text).map(|()| Self(text.to_owned()))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a webhook subscribes to or support enables: a type, a group of types, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TypePattern {
    /// `*`: every type.
    All,
    /// A type, or a group: a leading run of whole segments.
    Prefix(String),
}

impl TypePattern {
    /// The pattern as text, `*` for all.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => "*",
            Self::Prefix(prefix) => prefix,
        }
    }

    /// Whether `type_name` is this type or lies in this group.
    #[must_use]
    pub fn covers(&self, type_name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Prefix(prefix) => covers(prefix, type_name),
        }
    }
}

/// Whether the type or group `prefix` covers `name`: equal, or a leading run of whole segments.
#[must_use]
pub fn covers(prefix: &str, name: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `name` and each group above it, the longest first, then `*`: all the patterns that cover it.
pub fn covering(name: &str) -> impl Iterator<Item = &str> {
    let groups = name.rmatch_indices('.').map(|(at, _)| &name[..at]);
    std::iter::once(name).chain(groups).chain(std::iter::once("*"))
}

impl FromStr for TypePattern {
    type Err = InvalidEventType;

    fn from_str(text: &str) -> Result<Self, InvalidEventType> {
        if text == "*" {
            return Ok(Self::All);
        }
        check(text).map(|()| Self::Prefix(text.to_owned()))
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
    fn types_at_their_limits() {
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
    fn groups_cover_whole_segments_only() {
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
        fn covering_lists_exactly_the_patterns_that_cover(name in "[A-C]{1,2}(\\.[A-C]{1,2}){0,4}", other in "[A-C]{1,2}(\\.[A-C]{1,2}){0,4}") {
            let listed = covering(&name).any(|p| p == other);
            prop_assert_eq!(listed, other.parse::<TypePattern>().expect("pattern").covers(&name));
            prop_assert_eq!(covering(&name).last(), Some("*"));
        }
    }
}
