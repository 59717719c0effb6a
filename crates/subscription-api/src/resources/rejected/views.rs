//! The bodies of responses about rejected messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::RejectedMessage;
use broker::rejected_queue::{Group, Groups, MessageCount, Walked};
use domain::rejected_share::NO_BRAND;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use serde::Serialize;
use store::api::rejected_usage::RejectedUsage;
use utoipa::{IntoParams, ToSchema};

use crate::openapi::samples;
use crate::resources::views::serialize_optional;

/// The first rejected messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RejectedPage {
    /// The first rejected messages
    pub(super) items: Vec<RejectedView>,
    /// Always null, because only the first messages of the queue can be listed
    #[schema(required, example = json!(null))]
    pub(super) next_cursor: Option<String>,
    /// Number of rejected messages of all brands, reasons and types
    #[schema(minimum = 0, example = 42)]
    pub(super) total: u64,
    /// Whether all rejected messages were looked at
    pub(super) complete: bool,
}

/// A rejected message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rejected, example = samples::rejected)]
pub(crate) struct RejectedView {
    /// Stable code of the reason
    #[schema(required, example = "unknown_type")]
    reason: Option<String>,
    /// Error in the message and how to fix it
    #[schema(required)]
    detail: Option<String>,
    /// Brand of the message; null if the message names no valid brand
    #[schema(required)]
    brand_id: Option<String>,
    /// Type of the message; null if the message names no valid type
    #[serde(rename = "type")]
    #[schema(required)]
    event_type: Option<String>,
    /// When the message was rejected; null if that is not known
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    rejected_at: Option<DateTime>,
    /// The AMQP property `message_id`
    #[schema(required)]
    message_id: Option<String>,
    /// Body of the message
    body: String,
    /// Encoding of `body`
    body_encoding: BodyEncoding,
    /// Size of the body in bytes
    #[schema(minimum = 0)]
    bytes: usize,
}

/// Encoding of a body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) enum BodyEncoding {
    /// The text of the body
    #[serde(rename = "utf-8")]
    Utf8,
    /// The body in base64, because it is not UTF-8
    #[serde(rename = "base64")]
    Base64,
}

/// The parameters of the list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Query reads the parameters")]
pub(crate) struct RejectedParams {
    /// Maximum number of messages
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
    /// Only messages of this brand
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    brand_id: Option<String>,
    /// Only messages with this reason
    #[param(pattern = "^[a-z_]{1,64}$", example = "unknown_type")]
    reason: Option<String>,
    /// Only messages of this type
    #[param(example = "ORDER.PAID")]
    r#type: Option<String>,
}

/// The messages to delete.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Query reads the parameters")]
pub(crate) struct FilterParams {
    /// Only messages of this brand
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    brand_id: Option<String>,
    /// Only messages with this reason
    #[param(pattern = "^[a-z_]{1,64}$", example = "unknown_type")]
    reason: Option<String>,
    /// Only messages of this type
    #[param(example = "ORDER.PAID")]
    r#type: Option<String>,
}

/// Counts of rejected messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedSummary {
    /// The counts of each brand, reason and type
    items: Vec<RejectedGroup>,
    /// Messages of the last week that did not fit their brand's share of the queue
    #[schema(example = json!([]))]
    dropped: Vec<DroppedGroup>,
    /// Number of rejected messages
    #[schema(minimum = 0, example = 42)]
    total: u64,
    /// Whether all rejected messages were counted
    complete: bool,
}

/// Rejected messages of a brand, a reason and a type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = samples::rejected_group)]
pub(crate) struct RejectedGroup {
    /// The brand; null if the messages name no valid brand, or if there are too many brands to count each
    #[schema(required)]
    brand_id: Option<String>,
    /// Stable code of the reason
    #[schema(required, example = "unknown_type")]
    reason: Option<String>,
    /// Type of the messages; null if they name no valid type, and for the types of a brand and reason beyond 50
    #[serde(rename = "type")]
    #[schema(required)]
    event_type: Option<String>,
    /// Number of messages
    #[schema(minimum = 0)]
    messages: u64,
    /// Size of their bodies in bytes
    #[schema(minimum = 0)]
    bytes: u64,
    /// When the first of them was rejected; null if that is not known
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    first: Option<DateTime>,
    /// When the last of them was rejected; null if that is not known
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    last: Option<DateTime>,
}

/// Dropped messages of a brand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DroppedGroup {
    /// The brand; null for messages of no known brand
    #[schema(required)]
    brand_id: Option<String>,
    /// Number of messages
    #[schema(minimum = 0)]
    messages: i64,
    /// Size of their bodies in bytes
    #[schema(minimum = 0)]
    bytes: i64,
}

pub(super) fn rejected_view(rejected: RejectedMessage) -> RejectedView {
    let RejectedMessage { reason, detail, brand, event_type, rejected_at, message_id, body } = rejected;
    let bytes = body.len();
    let (body, body_encoding) = match String::from_utf8(body) {
        Ok(text) => (text, BodyEncoding::Utf8),
        Err(error) => (STANDARD.encode(error.as_bytes()), BodyEncoding::Base64),
    };
    let brand_id = brand.map(|brand| brand.as_str().to_owned());
    RejectedView { reason, detail, brand_id, event_type, rejected_at, message_id, body, body_encoding, bytes }
}

pub(super) fn summarize(walked: Walked<Groups>, usage: Vec<RejectedUsage>) -> RejectedSummary {
    let dropped = usage.into_iter().filter(|usage| usage.dropped_messages > 0);
    RejectedSummary {
        items: walked.found.into_iter().map(group_view).collect(),
        dropped: dropped.map(dropped_group).collect(),
        total: walked.total,
        complete: walked.complete,
    }
}

fn group_view((group, count): (Group, MessageCount)) -> RejectedGroup {
    RejectedGroup {
        brand_id: group.brand.map(|brand| brand.as_str().to_owned()),
        reason: group.reason,
        event_type: group.event_type,
        messages: count.messages,
        bytes: count.bytes,
        first: count.first,
        last: count.last,
    }
}

fn dropped_group(usage: RejectedUsage) -> DroppedGroup {
    DroppedGroup {
        brand_id: (usage.brand != NO_BRAND).then_some(usage.brand),
        messages: usage.dropped_messages,
        bytes: usage.dropped_bytes,
    }
}
