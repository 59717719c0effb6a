//! The envelope: the body of a request to an endpoint (contract §3).

use crate::event::event_type::EventType;
use crate::ids::{AttemptId, BrandId, EventId, WebhookId};
use crate::time::{self, Timestamp};

/// An event without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHead {
    /// Identity of the event, the same on every attempt.
    pub id: EventId,
    /// Brand of the event.
    pub brand_id: BrandId,
    /// When the event happened.
    pub created: Timestamp,
    /// Type of the event.
    pub event_type: EventType,
}

/// The data of an event in a process that may not need it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventData {
    /// The data, byte for byte.
    Inline(Box<str>),
    /// The data is only in the database, because it is large.
    Stored {
        /// Its size.
        bytes: usize,
    },
}

impl EventData {
    /// Keeps data of at most `max_inline` bytes, and only the size of larger data.
    #[must_use]
    pub fn keep(data: &str, max_inline: usize) -> Self {
        if data.len() <= max_inline { Self::Inline(data.into()) } else { Self::Stored { bytes: data.len() } }
    }

    /// Returns the size of the data.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Inline(data) => data.len(),
            Self::Stored { bytes } => *bytes,
        }
    }
}

/// Bytes of an envelope beside its data, at most: the longest brand id and type.
const MAX_HEAD_BYTES: usize = 400;

/// Encodes the envelope: exactly these seven keys in this order.
///
/// `data` is copied byte for byte, so that receivers get the numbers and the key order that the producer wrote. The
/// other values need no escaping, because none of them can contain a character that JSON escapes.
#[must_use]
pub fn encode_envelope(head: &EventHead, webhook: WebhookId, attempt: AttemptId, data: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(MAX_HEAD_BYTES + data.len());
    for (key, value) in [
        ("{\"id\":\"", head.id.to_string().as_str()),
        ("\",\"brandId\":\"", head.brand_id.as_str()),
        ("\",\"webhookId\":\"", webhook.to_string().as_str()),
        ("\",\"attemptId\":\"", attempt.to_string().as_str()),
        ("\",\"created\":\"", time::format_timestamp(head.created).as_str()),
        ("\",\"type\":\"", head.event_type.as_str()),
        ("\",\"data\":", data),
    ] {
        body.extend_from_slice(key.as_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.push(b'}');
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_envelope_fits_its_capacity() {
        let longest_type = ["A".repeat(15).as_str(); 8].join(".") + "A";
        let head = EventHead {
            id: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("id"),
            brand_id: "b".repeat(64).parse().expect("brand"),
            created: time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("time"),
            event_type: longest_type.parse().expect("type"),
        };
        let webhook = "9e21c694-ee9e-48a7-b016-522fd8ef08c1".parse().expect("webhook");
        let attempt = "01F2SFW32CT8KZXDWG4JTG9WPT".parse().expect("attempt");
        // A larger buffer would be grown to twice the size of the data.
        assert!(encode_envelope(&head, webhook, attempt, "").len() <= MAX_HEAD_BYTES);
    }

    #[test]
    fn large_data_is_kept_by_its_size() {
        assert_eq!(EventData::keep("1234", 4), EventData::Inline("1234".into()));
        assert_eq!(EventData::keep("12345", 4), EventData::Stored { bytes: 5 });
        assert_eq!([EventData::keep("1234", 4).size(), EventData::Stored { bytes: 5 }.size()], [4, 5]);
    }

    #[test]
    fn the_example_of_the_guide_is_reproduced_to_the_byte() {
        let head = EventHead {
            id: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("id"),
            brand_id: "yourBrandId".parse().expect("brand"),
            created: time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("time"),
            event_type: "NOTIFICATION.SMS.RECEIPT".parse().expect("type"),
        };
        let webhook = "9e21c694-ee9e-48a7-b016-522fd8ef08c1".parse().expect("webhook");
        let attempt = "01F2SFW32CT8KZXDWG4JTG9WPT".parse().expect("attempt");
        let data = r#"{"z":12345678901234567890,"a":1.10}"#;
        let expected = format!(
            r#"{{"id":"01F2SFVYVD0H873S2VRT8VQSPM","brandId":"yourBrandId","webhookId":"9e21c694-ee9e-48a7-b016-522fd8ef08c1","attemptId":"01F2SFW32CT8KZXDWG4JTG9WPT","created":"2021-04-08T19:36:02.938Z","type":"NOTIFICATION.SMS.RECEIPT","data":{data}}}"#
        );
        assert_eq!(encode_envelope(&head, webhook, attempt, data), expected.as_bytes());
    }
}
