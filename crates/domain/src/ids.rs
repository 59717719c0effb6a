//! Ids of brands, events, webhooks and attempts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;
use uuid::Uuid;

use crate::limits::MAX_BRAND_ID_CHARS;

/// An error about a text that is not an id; the message describes the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is not a brand id.
    #[error("a brandId is 1 to 64 of the characters A-Z a-z 0-9 _ -")]
    Brand,
    /// The text is not a ULID.
    #[error("must be a ULID: 26 characters of Crockford's base 32, such as 01F2SFVYVD0H873S2VRT8VQSPM")]
    Ulid,
    /// The text is not a UUID.
    #[error("must be a UUID, such as 9e21c694-ee9e-48a7-b016-522fd8ef08c1")]
    Uuid,
}

/// Id of a brand, which is a tenant: 1–64 of `A-Z a-z 0-9 _ -` (contract §1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct BrandId(String);

impl BrandId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BrandId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = (1..=MAX_BRAND_ID_CHARS).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if fits && text.bytes().all(allowed) { Ok(Self(text.to_owned())) } else { Err(InvalidId::Brand) }
    }
}

impl fmt::Display for BrandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BrandId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// Returns the stored form, the 16 bytes of a UUID, which sort like the text.
            #[must_use]
            pub fn to_uuid(self) -> Uuid {
                Uuid::from_u128(self.0.0)
            }

            /// Creates the id from its stored form ([`Self::to_uuid`]).
            #[must_use]
            pub fn from_uuid(stored: Uuid) -> Self {
                Self(Ulid(stored.as_u128()))
            }

            /// Generates an id from 48 bits of `at_millis` (Unix milliseconds) and 80 random bits.
            #[must_use]
            pub fn generate(at_millis: u64) -> Self {
                Self(Ulid::from_parts(at_millis, rand::random()))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // 26 base-32 digits have 130 bits, so a first digit above 7 would overflow silently.
                let fits = text.len() == 26 && text.as_bytes()[0].is_ascii_digit() && text.as_bytes()[0] <= b'7';
                if !fits {
                    return Err(InvalidId::Ulid);
                }
                Ulid::from_string(text).map(Self).map_err(|_| InvalidId::Ulid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

ulid_id! {
    /// Id of an event, which receivers use for deduplication.
    EventId
}
ulid_id! {
    /// Id of an attempt, which is one HTTP request of a delivery.
    AttemptId
}

/// Id of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookId(pub Uuid);

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for WebhookId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId::Uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brand_ids_are_checked_at_their_limits() {
        assert!("a".parse::<BrandId>().is_ok());
        assert!("Ab_9-".parse::<BrandId>().is_ok());
        assert!("x".repeat(64).parse::<BrandId>().is_ok());
        for bad in ["", "a b", "a.b", "ä", "a/b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<BrandId>(), Err(InvalidId::Brand), "{bad}");
        }
    }

    #[test]
    fn a_stored_ulid_keeps_its_text() {
        let id: EventId = "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("the guide's id");
        assert_eq!(EventId::from_uuid(id.to_uuid()).to_string(), "01F2SFVYVD0H873S2VRT8VQSPM");
        for bad in
            ["", "01F2SFVYVD0H873S2VRT8VQSP", "81F2SFVYVD0H873S2VRT8VQSPM", "01F2SFVYVD0H873S2VRT8VQSPU"]
        {
            assert_eq!(bad.parse::<EventId>(), Err(InvalidId::Ulid), "{bad}");
        }
    }

    #[test]
    fn stored_ulids_sort_like_their_text() {
        let early = EventId::generate(1);
        let late = EventId::generate(2);
        assert!(early.to_string() < late.to_string() && early.to_uuid() < late.to_uuid());
    }
}
