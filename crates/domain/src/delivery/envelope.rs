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

/// Encodes the envelope: exactly these seven keys in this order.
///
/// `data` is copied byte for byte, so that receivers get the numbers and the key order that the producer wrote. The
/// other values need no escaping, because none of them can contain a character that JSON escapes.
#[must_use]
pub fn encode_envelope(head: &EventHead, webhook: WebhookId, attempt: AttemptId, data: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 + data.len());
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
