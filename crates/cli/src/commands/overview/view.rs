//! The overview as the API sends it. Members of newer servers are optional.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    pub(super) at: DateTime<Utc>,
    pub(super) services: Vec<Service>,
    pub(super) queues: Vec<Queue>,
    pub(super) waiting: Waiting,
    pub(super) webhooks: BTreeMap<String, u64>,
    pub(super) disabled: Vec<Webhook>,
    pub(super) rejected: u64,
    pub(super) minutes: Vec<Minute>,
    /// Webhooks that need attention, the worst first. `None` from a server that does not know it.
    pub(super) attention: Option<Vec<Attention>>,
    #[serde(default)]
    pub(super) attention_more: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    pub(super) service: String,
    pub(super) host: String,
    pub(super) version: String,
    pub(super) last_seen: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) messages: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Waiting {
    pub(super) deliveries: u64,
    #[serde(default)]
    pub(super) more: bool,
    pub(super) oldest: Option<DateTime<Utc>>,
    pub(super) oldest_brand_id: Option<String>,
    pub(super) oldest_webhook_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Webhook {
    pub(super) id: String,
    pub(super) brand_id: String,
    pub(super) endpoint: String,
    pub(super) description: Option<String>,
    pub(super) disabled: Option<Disabled>,
    pub(super) health: Option<Health>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Disabled {
    pub(super) reason: String,
    pub(super) at: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    pub(super) state: String,
    pub(super) since: Option<DateTime<Utc>>,
    pub(super) disables_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attention {
    pub(super) webhook: Webhook,
    pub(super) brand: Option<Brand>,
    pub(super) waiting: Option<WaitingOfWebhook>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Brand {
    pub(super) contact: Option<Contact>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Contact {
    pub(super) email: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WaitingOfWebhook {
    pub(super) deliveries: u64,
}

/// The attempts of a minute.
#[derive(Debug, Deserialize)]
pub(super) struct Minute {
    pub(super) attempts: u64,
    pub(super) outcomes: BTreeMap<String, u64>,
    /// Deliveries that ended in the minute. `None` from a server that does not count them.
    pub(super) events: Option<EndedEvents>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EndedEvents {
    pub(super) delivered: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct RejectedSummary {
    pub(super) items: Vec<RejectedGroup>,
    #[serde(default)]
    pub(super) dropped: Vec<DroppedGroup>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RejectedGroup {
    pub(super) brand_id: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) r#type: Option<String>,
    pub(super) messages: u64,
    pub(super) last: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DroppedGroup {
    pub(super) messages: u64,
}
