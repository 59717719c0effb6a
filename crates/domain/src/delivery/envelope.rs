//! The body that an endpoint receives (contract §3).

use crate::event::event_type::EventType;
use crate::ids::{AttemptId, BrandId, EventId, WebhookId};
use crate::time::{self, Timestamp};

/// What an event is, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventHead {
    /// Identity, the same on every attempt.
    pub id: EventId,
    /// Whose it is.
    pub brand_id: BrandId,
    /// When it happened.
    pub created: Timestamp,
    /// What happened.
    pub event_type: EventType,
}

/// The envelope: exactly these seven keys in this order, `data` byte for byte as it came in.
/// None of the other values can hold a character that JSON escapes.
#[must_use]
pub fn body(head: &EventHead, webhook: WebhookId, attempt: AttemptId, data: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 + data.len());
    for (key, value) in [
        ("{\"id\":\"", head.id.to_string().as_str()),
        ("\",\"brandId\":\"", head.brand_id.as_str()),
        ("\",\"webhookId\":\"", webhook.to_string().as_str()),
        ("\",\"attemptId\":\"", attempt.to_string().as_str()),
        ("\",\"created\":\"", time::format(head.created).as_str()),
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
    fn the_guides_example_to_the_byte() {
        let head = EventHead {
            id: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("id"),
            brand_id: "yourBrandId".parse().expect("brand"),
            created: time::parse("2021-04-08T19:36:02.938Z").expect("time"),
            event_type: "NOTIFICATION.SMS.RECEIPT".parse().expect("type"),
        };
        let webhook = "9e21c694-ee9e-48a7-b016-522fd8ef08c1".parse().expect("webhook");
        let attempt = "01F2SFW32CT8KZXDWG4JTG9WPT".parse().expect("attempt");
        let data = r#"{"z":12345678901234567890,"a":1.10}"#;
        let expected = format!(
            r#"{{"id":"01F2SFVYVD0H873S2VRT8VQSPM","brandId":"yourBrandId","webhookId":"9e21c694-ee9e-48a7-b016-522fd8ef08c1","attemptId":"01F2SFW32CT8KZXDWG4JTG9WPT","created":"2021-04-08T19:36:02.938Z","type":"NOTIFICATION.SMS.RECEIPT","data":{data}}}"#
        );
        assert_eq!(body(&head, webhook, attempt, data), expected.as_bytes());
    }
}
