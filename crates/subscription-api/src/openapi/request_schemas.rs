//! The shapes of request bodies, for the OpenAPI document. What they say is enforced field by field
//! where the body is read; a test holds the two against each other.
#![allow(dead_code, reason = "for the OpenAPI document alone")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::resources::views::{DeliveryStatusWord, RoleWord, SchemeWord};

/// A new webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewWebhook {
    /// An `https:` URL of a public host, without user info or fragment
    #[schema(
        max_length = 2048,
        pattern = "^[Hh][Tt][Tt][Pp][Ss]://",
        example = "https://example.com/my/webhook/endpoint"
    )]
    endpoint: String,
    /// Types or groups of the catalogue that are enabled for the brand, or `*`
    #[schema(min_items = 1, max_items = 100, example = json!(["NOTIFICATION.SMS.RECEIPT"]))]
    events: Vec<String>,
    /// Whether it receives events
    #[schema(required = false, default = true)]
    enabled: bool,
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// Custom headers of every request: 20 and 4 KiB together at most; not the platform's own names
    headers: Option<BTreeMap<String, String>>,
    /// Requests in flight at most
    #[schema(minimum = 1, maximum = 100, default = 10)]
    max_concurrency: Option<i32>,
    /// Requests a second at most; null for no limit
    #[schema(minimum = 1, maximum = 10000)]
    rate_per_second: Option<i32>,
    /// How requests are signed: `v1` always; with `v1a` (Ed25519), too, they can be verified by whoever has the
    /// public key. Null for `v1` alone
    #[schema(min_items = 1, max_items = 2, value_type = Option<Vec<SchemeWord>>, example = json!(["v1", "v1a"]))]
    signatures: Option<Vec<String>>,
}

/// A merge patch of a webhook: what is absent stays, null clears what may be empty.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookPatch {
    /// An `https:` URL of a public host, without user info or fragment
    #[schema(required = false, max_length = 2048, pattern = "^[Hh][Tt][Tt][Pp][Ss]://")]
    endpoint: String,
    /// Types or groups of the catalogue that are enabled for the brand, or `*`
    #[schema(required = false, min_items = 1, max_items = 100)]
    events: Vec<String>,
    /// `false` pauses it; `true` switches it on unless support or the platform disabled it
    #[schema(required = false)]
    enabled: bool,
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// Custom headers to set, and, where a value is null, to take away; others stay. Null for none at all
    headers: Option<BTreeMap<String, Option<String>>>,
    /// Requests in flight at most; null for 10
    #[schema(minimum = 1, maximum = 100)]
    max_concurrency: Option<i32>,
    /// Requests a second at most; null for no limit
    #[schema(minimum = 1, maximum = 10000)]
    rate_per_second: Option<i32>,
    /// How requests are signed: `v1` always; with `v1a` (Ed25519), too, they can be verified by whoever has the
    /// public key. Null for `v1` alone
    #[schema(min_items = 1, max_items = 2, value_type = Option<Vec<SchemeWord>>, example = json!(["v1", "v1a"]))]
    signatures: Option<Vec<String>>,
}

/// A new brand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewBrand {
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "acme")]
    brand_id: String,
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    contact: Option<NewContact>,
}

/// A point of contact.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    #[schema(max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$", example = "ops@example.com")]
    email: String,
}

/// A merge patch of a brand: what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BrandPatch {
    #[schema(required = false, min_length = 1, max_length = 1024)]
    name: String,
    /// Null for none
    contact: Option<ContactPatch>,
}

/// A merge patch of a point of contact.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactPatch {
    #[schema(required = false, min_length = 1, max_length = 1024)]
    name: String,
    #[schema(required = false, max_length = 254, pattern = "^[^@\\s]+@[^@\\s]+$")]
    email: String,
}

/// A new token of a brand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    #[schema(min_length = 1, max_length = 1024)]
    name: String,
    #[schema(value_type = RoleWord)]
    role: String,
}

/// An entry of the catalogue.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventTypeDefinition {
    #[schema(min_length = 1, max_length = 1024)]
    description: String,
    /// JSON Schema (2020-12) of `data`: an object or a boolean
    schema: Option<Value>,
    /// Whether events that do not fit the schema are refused
    #[schema(required = false, default = false)]
    enforce_schema: bool,
    /// A sample of `data`
    example: Option<Value>,
}

/// Why support disables a webhook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disabling {
    /// What the brand is told
    #[schema(min_length = 1, max_length = 1024)]
    detail: String,
}

/// How support enables a webhook again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enabling {
    /// What is noted in the audit
    #[schema(min_length = 1, max_length = 1024)]
    note: String,
    /// Whether the deliveries that are held are sent
    #[schema(required = false, default = false)]
    redeliver_held: bool,
}

/// Which events are sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Redelivery {
    /// Created at this instant or later
    #[schema(format = DateTime, example = "2021-04-08T19:00:00Z")]
    from: String,
    /// Created before this instant; what has yet to happen is not among them
    #[schema(format = DateTime, example = "2021-04-08T21:00:00Z")]
    to: String,
    /// Only those whose delivery stands here
    #[schema(required = false, value_type = DeliveryStatusWord)]
    status: String,
    /// Only those of this type or group
    #[schema(required = false)]
    r#type: String,
}

/// What a test event is of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestEvent {
    /// A type of the catalogue that is enabled for the brand
    #[schema(required = false, example = "NOTIFICATION.SMS.RECEIPT")]
    r#type: String,
}

/// How a secret is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// For how many seconds the secret before signs too
    #[schema(required = false, minimum = 0, maximum = 604800, default = 86400)]
    overlap_seconds: i32,
}

/// How much of what was refused is published again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Republishing {
    /// Messages at most
    #[schema(required = false, minimum = 1, maximum = 10000, default = 10000)]
    limit: i32,
}

/// One event, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Publishing {
    /// One
    One(NewEvent),
    /// Several
    Several(NewEvents),
}

/// Several events.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEvents {
    #[schema(min_items = 1, max_items = 500)]
    events: Vec<NewEvent>,
}

/// What happened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEvent {
    /// A ULID; drawn where it is left out
    #[schema(required = false, pattern = "^[0-7][0-9A-Za-z]{25}$")]
    id: String,
    /// That of the path
    #[schema(required = false)]
    brand_id: String,
    #[schema(
        max_length = 128,
        pattern = "^[A-Z0-9_]+(\\.[A-Z0-9_]+){0,7}$",
        example = "NOTIFICATION.SMS.RECEIPT"
    )]
    r#type: String,
    /// When it happened: within the retention time and at most 5 minutes ahead; now where it is left out
    #[schema(required = false, format = DateTime)]
    created: String,
    /// Any JSON; the whole event has at most 256 KiB
    data: Value,
}
