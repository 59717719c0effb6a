//! Events of a producer.

use std::collections::BTreeSet;

use ulid::Ulid;

/// The type that a fresh installation knows.
pub const SMS: &str = "NOTIFICATION.SMS.RECEIPT";

/// An event message before it is published. The harness composes the body by hand, so that a test decides on
/// every byte of it.
#[derive(Debug, Clone)]
pub struct Event {
    /// The producer's ULID; `None` leaves it to the AMQP property.
    pub id: Option<String>,
    /// The AMQP property `message_id`.
    pub message_id: Option<String>,
    /// The brand of the event.
    pub brand_id: String,
    /// Its event type.
    pub event_type: String,
    /// Its time; `None` leaves it to the router.
    pub created: Option<String>,
    /// Its key, if it has one.
    pub key: Option<String>,
    /// Any JSON, kept byte for byte.
    pub data: String,
}

impl Event {
    /// Creates an event of this type with a fresh id and some data.
    #[must_use]
    pub fn new(brand_id: &str, event_type: &str) -> Self {
        Self {
            id: Some(Ulid::generate().to_string()),
            message_id: None,
            brand_id: brand_id.to_owned(),
            event_type: event_type.to_owned(),
            created: None,
            key: None,
            data: r#"{"phoneNumber":"+1234456789","message":"I am an SMS message","locale":"en-US"}"#
                .to_owned(),
        }
    }

    /// Creates an SMS receipt of this brand.
    #[must_use]
    pub fn sms(brand_id: &str) -> Self {
        Self::new(brand_id, SMS)
    }

    /// Creates this number of SMS receipts.
    #[must_use]
    pub fn sms_batch(brand_id: &str, number: usize) -> Vec<Self> {
        (0..number).map(|_| Self::sms(brand_id)).collect()
    }

    /// Replaces the data.
    #[must_use]
    pub fn data(mut self, json: &str) -> Self {
        json.clone_into(&mut self.data);
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn created(mut self, at: &str) -> Self {
        self.created = Some(at.to_owned());
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Moves the identity to this AMQP property, so that the body has no id.
    #[must_use]
    pub fn message_id(mut self, id: &str) -> Self {
        self.id = None;
        self.message_id = Some(id.to_owned());
        self
    }

    /// Returns the id of the body.
    ///
    /// # Panics
    /// When the body has none.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().expect("an event with an id of its own")
    }

    /// Returns the message body.
    #[must_use]
    pub fn body(&self) -> String {
        let id = self.id.as_ref().map(|id| format!(r#""id":"{id}","#)).unwrap_or_default();
        let created = self.created.as_ref().map(|at| format!(r#""created":"{at}","#)).unwrap_or_default();
        let key = self.key.as_ref().map(|key| format!(r#""key":{},"#, serde_json::Value::from(key.as_str())));
        let key = key.unwrap_or_default();
        format!(
            r#"{{{id}"brandId":"{}","type":"{}",{created}{key}"data":{}}}"#,
            self.brand_id, self.event_type, self.data
        )
    }
}

/// Returns the ids of these events.
#[must_use]
pub fn ids<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<String> {
    events.into_iter().map(|event| event.id().to_owned()).collect()
}

/// Formats the time `ago` before now as the contract does.
#[must_use]
pub fn time_ago(ago: std::time::Duration) -> String {
    let at = chrono::Utc::now() - chrono::TimeDelta::from_std(ago).expect("a span that fits");
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Formats the time `ahead` after now as the contract does.
#[must_use]
pub fn time_ahead(ahead: std::time::Duration) -> String {
    let at = chrono::Utc::now() + chrono::TimeDelta::from_std(ahead).expect("a span that fits");
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
