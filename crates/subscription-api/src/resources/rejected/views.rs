//! The bodies of responses about rejected messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::RejectedMessage;
use broker::rejected_queue::{Groups, Walked};
use domain::rejected_share::NO_BRAND;
use serde::Serialize;
use store::api::rejected_usage::RejectedUsage;
use utoipa::{IntoParams, ToSchema};

/// The first rejected messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RejectedPage {
    /// The first rejected messages
    pub(super) items: Vec<RejectedView>,
    /// Always null, because only the first messages of the queue can be listed
    #[schema(required)]
    pub(super) next_cursor: Option<String>,
    /// Number of rejected messages of all brands and reasons
    #[schema(minimum = 0)]
    pub(super) total: u64,
    /// Whether all rejected messages were looked at
    pub(super) complete: bool,
}

/// A rejected message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rejected)]
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
}

/// The result of republishing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Republished {
    /// Number of messages that were republished
    #[schema(minimum = 0)]
    pub(super) republished: u64,
    /// Whether all rejected messages were looked at
    pub(super) complete: bool,
}

/// The result of deleting.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// Number of messages that were deleted
    #[schema(minimum = 0)]
    pub(super) deleted: u64,
    /// Whether all rejected messages were looked at
    pub(super) complete: bool,
}

/// Counts of rejected messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedSummary {
    /// The counts of each brand and reason
    items: Vec<RejectedGroup>,
    /// Messages of the last week that did not fit their brand's share of the queue
    dropped: Vec<DroppedGroup>,
    /// Number of rejected messages
    #[schema(minimum = 0)]
    total: u64,
    /// Whether all rejected messages were counted
    complete: bool,
}

/// Rejected messages of a brand and a reason.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RejectedGroup {
    /// The brand; null if the messages name no valid brand
    #[schema(required)]
    brand_id: Option<String>,
    /// Stable code of the reason
    #[schema(required, example = "unknown_type")]
    reason: Option<String>,
    /// Number of messages
    #[schema(minimum = 0)]
    messages: u64,
    /// Size of their bodies in bytes
    #[schema(minimum = 0)]
    bytes: u64,
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
    let RejectedMessage { reason, detail, brand, message_id, body } = rejected;
    let bytes = body.len();
    let (body, body_encoding) = match String::from_utf8(body) {
        Ok(text) => (text, BodyEncoding::Utf8),
        Err(error) => (STANDARD.encode(error.as_bytes()), BodyEncoding::Base64),
    };
    let brand_id = brand.map(|brand| brand.as_str().to_owned());
    RejectedView { reason, detail, brand_id, message_id, body, body_encoding, bytes }
}

pub(super) fn summarize(walked: Walked<Groups>, usage: Vec<RejectedUsage>) -> RejectedSummary {
    let group = |((brand, reason), count): (
        (Option<domain::ids::BrandId>, _),
        broker::rejected_queue::MessageCount,
    )| {
        RejectedGroup {
            brand_id: brand.map(|brand| brand.as_str().to_owned()),
            reason,
            messages: count.messages,
            bytes: count.bytes,
        }
    };
    let dropped = usage.into_iter().filter(|usage| usage.dropped_messages > 0);
    RejectedSummary {
        items: walked.found.into_iter().map(group).collect(),
        dropped: dropped.map(dropped_group).collect(),
        total: walked.total,
        complete: walked.complete,
    }
}

fn dropped_group(usage: RejectedUsage) -> DroppedGroup {
    DroppedGroup {
        brand_id: (usage.brand != NO_BRAND).then_some(usage.brand),
        messages: usage.dropped_messages,
        bytes: usage.dropped_bytes,
    }
}
