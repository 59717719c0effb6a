//! The schemas of request bodies for the OpenAPI document.
//!
//! The handlers enforce the rules field by field. A test compares these schemas with the fields that are read.
#![allow(dead_code, reason = "only the OpenAPI document uses the schemas")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::openapi::samples;
use crate::openapi::words::{RoleWord, SchemeWord};

/// A new webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// `https:` URL of a public host, without user info or fragment
    #[schema(
        max_length = 2048,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]://",
        example = "https://example.com/my/webhook/endpoint"
    )]
    endpoint: String,
    /// Event types or groups that are in the catalogue and enabled for the brand, or `*` for all
    #[schema(min_items = 1, max_items = 100, example = json!(["NOTIFICATION.SMS.RECEIPT"]))]
    events: Vec<String>,
    /// Whether the webhook receives events. While it is `false`, the webhook is paused, and events that arrive are not
    /// recorded for it
    #[schema(required = false, default = true)]
    enabled: bool,
    /// Free text for people
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// Custom headers of every request: at most 20, together at most 4 KiB; reserved names are refused
    headers: Option<BTreeMap<String, String>>,
    /// Maximum number of requests in flight
    #[schema(minimum = 1, maximum = 100, default = 10)]
    max_concurrency: Option<i32>,
    /// Maximum number of requests a second; null for no limit
    #[schema(minimum = 1, maximum = 10000)]
    rate_per_second: Option<i32>,
    /// Signature schemes. `v1` (HMAC-SHA256) is required; add `v1a` (Ed25519) to let receivers verify requests with the
    /// [public key](/docs/endpoints#verify-with-a-public-key). Null for `v1` only
    #[schema(min_items = 1, max_items = 2, value_type = Option<Vec<SchemeWord>>)]
    signatures: Option<Vec<String>>,
}

/// Merge patch of a webhook: absent fields stay, null clears optional fields.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"events": ["NOTIFICATION"], "maxConcurrency": 20}))]
pub(crate) struct WebhookPatch {
    /// `https:` URL of a public host, without user info or fragment
    #[schema(required = false, max_length = 2048, pattern = "^[Hh][Tt][Tt][Pp][Ss]://")]
    endpoint: String,
    /// Event types or groups that are in the catalogue and enabled for the brand, or `*` for all
    #[schema(required = false, min_items = 1, max_items = 100)]
    events: Vec<String>,
    /// `false` pauses the webhook: pending deliveries are discarded, and events that arrive meanwhile are not recorded for
    /// it, so they cannot be redelivered to it later. `true` resumes it, unless support or the platform disabled it
    #[schema(required = false)]
    enabled: bool,
    /// Free text for people
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// Custom headers to set; a null value removes the header, and headers that are not named stay. Null removes all
    headers: Option<BTreeMap<String, Option<String>>>,
    /// Maximum number of requests in flight; null for 10
    #[schema(minimum = 1, maximum = 100)]
    max_concurrency: Option<i32>,
    /// Maximum number of requests a second; null for no limit
    #[schema(minimum = 1, maximum = 10000)]
    rate_per_second: Option<i32>,
    /// Signature schemes. `v1` (HMAC-SHA256) is required; add `v1a` (Ed25519) to let receivers verify requests with the
    /// [public key](/docs/endpoints#verify-with-a-public-key). Null for `v1` only
    #[schema(min_items = 1, max_items = 2, value_type = Option<Vec<SchemeWord>>)]
    signatures: Option<Vec<String>>,
}

/// A new brand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewBrand {
    /// Id of the brand; it cannot be changed later
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "acme")]
    brand_id: String,
    /// Display name
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    /// Point of contact
    contact: Option<NewContact>,
    /// How much the brand may publish
    quotas: Option<QuotasPatch>,
}

/// Merge patch of the quotas of a brand: absent quotas stay, null restores the default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct QuotasPatch {
    /// Events a second; null for no limit
    #[schema(minimum = 1, maximum = 1_000_000)]
    events_per_second: Option<u64>,
    /// Bytes of event messages a second; null for no limit
    #[schema(minimum = 1024, maximum = 17_179_869_184_u64)]
    bytes_per_second: Option<u64>,
    /// Deliveries a second, which is each event once for every webhook that it matches; null for no limit
    #[schema(minimum = 1, maximum = 1_000_000)]
    deliveries_per_second: Option<u64>,
    /// Bytes of event messages that may wait to be routed; null for 1 GiB
    #[schema(minimum = 262_144, maximum = 17_592_186_044_416_u64)]
    waiting_bytes: Option<u64>,
}

/// A point of contact.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewContact {
    /// Name of a person or team
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    /// Email address
    #[schema(max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$", example = "ops@example.com")]
    email: String,
}

/// Merge patch of a brand: absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quotas": {"eventsPerSecond": 500}}))]
pub(crate) struct BrandPatch {
    /// Display name
    #[schema(required = false, min_length = 1, max_length = 1024)]
    name: String,
    /// Null removes the contact
    contact: Option<ContactPatch>,
    /// Null restores all defaults
    quotas: Option<QuotasPatch>,
}

/// Merge patch of a point of contact: absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContactPatch {
    /// Name of a person or team
    #[schema(required = false, min_length = 1, max_length = 1024)]
    name: String,
    /// Email address
    #[schema(required = false, max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$")]
    email: String,
}

/// A new token for a brand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "production", "role": "write"}))]
pub(crate) struct NewToken {
    /// Name of the token, for people
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    /// `read` to read, `write` to read and change
    #[schema(value_type = RoleWord)]
    role: String,
    /// When the token stops being valid; it does not by default
    #[schema(required = false, format = DateTime)]
    expires: String,
}

/// A new named token for support.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Ada"}))]
pub(crate) struct NewSupportToken {
    /// Name of the person or program that uses the token; the audit shows it
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    /// When the token stops being valid; it does not by default
    #[schema(required = false, format = DateTime)]
    expires: String,
}

/// An event type of the catalogue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"description": "An order was paid", "example": {"orderId": "4711"}}))]
pub(crate) struct EventTypeDefinition {
    /// Description for people
    #[schema(min_length = 1, max_length = 1024)]
    description: String,
    /// JSON Schema (2020-12) of `data`: an object or a boolean
    schema: Option<Value>,
    /// Whether events whose `data` violates the schema are rejected
    #[schema(required = false, default = false)]
    enforce_schema: bool,
    /// Example of `data`; test events contain it
    example: Option<Value>,
}

/// Request to disable a webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disabling {
    /// Reason, which the brand can read
    #[schema(min_length = 1, max_length = 1024, example = "The owner asked for it.")]
    detail: String,
}

/// Request to enable a webhook again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Enabling {
    /// Note for the audit
    #[schema(min_length = 1, max_length = 1024)]
    note: String,
    /// Whether to redeliver the held deliveries
    #[schema(required = false, default = false)]
    redeliver_held: bool,
}

/// The events to redeliver: a range, or their ids.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Redelivery {
    Range(RedeliveryRange),
    Ids(RedeliveryIds),
}

/// The range of events to redeliver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2021-04-08T19:00:00Z", "to": "2021-04-08T21:00:00Z", "status": "failed"}))]
pub(crate) struct RedeliveryRange {
    /// Start of the range: events created at this instant or later
    #[schema(format = DateTime, example = "2021-04-08T19:00:00Z")]
    from: String,
    /// End of the range: events created before this instant. A range ends five
    /// minutes after the request at the latest, because `created` may be that far ahead
    #[schema(format = DateTime, example = "2021-04-08T21:00:00Z")]
    to: String,
    /// Only events whose delivery has this status; `all`: every status, so that endpoints get delivered events again. After
    /// a webhook was disabled, use `held`
    #[schema(
        required = false,
        default = "failed",
        pattern = "^(pending|delivered|failed|held|discarded|all)$"
    )]
    status: String,
    /// Only events of this type or group
    #[schema(required = false)]
    r#type: String,
}

/// The ids of the events to redeliver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"ids": ["01F2SFVYVD0H873S2VRT8VQSPM"]}))]
pub(crate) struct RedeliveryIds {
    /// Ids of events of this webhook, whatever their status
    #[schema(min_items = 1, max_items = 1000)]
    ids: Vec<String>,
}

/// Request to send a test event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestEvent {
    /// Event type that is in the catalogue and enabled for the brand
    #[schema(required = false, example = "NOTIFICATION.SMS.RECEIPT")]
    r#type: String,
}

/// Request to rotate a secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rotation {
    /// Seconds for which the previous secret also signs; 0 ends it at once
    #[schema(required = false, minimum = 0, maximum = 604800, default = 86400)]
    overlap_seconds: i32,
}

/// Request to republish rejected messages.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"brandId": "acme", "reason": "unknown_type", "type": "ORDER.PAID"}))]
pub(crate) struct Republishing {
    /// Maximum number of messages
    #[schema(required = false, minimum = 1, maximum = 1_000_000)]
    limit: i32,
    /// Only messages of this brand
    #[schema(required = false, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    brand_id: String,
    /// Only messages with this reason
    #[schema(required = false, pattern = "^[a-z_]{1,64}$")]
    reason: String,
    /// Only messages of this type
    #[schema(required = false)]
    r#type: String,
}

/// One event or a list of events.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Publishing {
    /// One event
    One(NewEvent),
    /// A list of events
    Several(NewEvents),
}

/// A list of events.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEvents {
    /// The events, at most 500
    #[schema(min_items = 1, max_items = 500)]
    events: Vec<NewEvent>,
}

/// A new event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = samples::new_event)]
pub(crate) struct NewEvent {
    /// ULID of the event; generated if absent
    #[schema(required = false, pattern = "^[0-7][0-9A-Za-z]{25}$")]
    id: String,
    /// Id of the brand; it must be the brand of the path
    #[schema(required = false)]
    brand_id: String,
    /// Event type of the catalogue
    #[schema(max_length = 128, pattern = "^[A-Z0-9_]+(\\.[A-Z0-9_]+){0,7}$")]
    r#type: String,
    /// When the event happened: within the retention period and at most 5 minutes in the future; now if absent
    #[schema(required = false, format = DateTime)]
    created: String,
    /// Text by which you find the event later, such as an order id; it is not sent to endpoints
    #[schema(required = false, max_length = 128)]
    key: String,
    /// Any JSON; the whole event may have at most 256 KiB
    data: Value,
}
