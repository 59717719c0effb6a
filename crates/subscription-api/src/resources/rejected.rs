//! Messages that the router rejected: support lists them, fixes the cause and republishes or deletes them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::RejectedMessage;
use serde::Serialize;
use serde_json::json;
use store::AuditedTransaction;
use store::api::audit::Entry;
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::auth::Support;
use crate::http::body::OptionalJsonBody;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most messages that one request republishes.
const MAX_REPUBLISHED: i32 = 10_000;

/// The first rejected messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RejectedPage {
    /// The first rejected messages
    items: Vec<RejectedView>,
    /// Always null, because only the first messages of the queue can be listed
    #[schema(required)]
    next_cursor: Option<String>,
    /// Number of rejected messages
    #[schema(minimum = 0)]
    total: u64,
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

/// The size of the list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Query reads the parameter")]
pub(crate) struct RejectedParams {
    /// Maximum number of messages
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// The result of republishing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Republished {
    /// Number of messages that were republished
    #[schema(minimum = 0)]
    republished: u64,
}

/// List rejected messages
///
/// Lists the first messages that the router rejected. The order is not guaranteed.
#[utoipa::path(
    get, path = "/admin/v1/rejected", tag = "support", operation_id = "listRejected",
    params(RejectedParams),
    responses((status = 200, description = "The first rejected messages.", body = RejectedPage))
)]
pub(crate) async fn list_rejected(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<RejectedPage>> {
    let limit = usize::try_from(query.take_limit()).unwrap_or(0);
    query.finish()?;
    let (found, total) = api.rejected.list(limit).await?;
    Ok(Json(RejectedPage { items: found.into_iter().map(rejected_view).collect(), next_cursor: None, total }))
}

/// Republish rejected messages
///
/// Publishes the messages unchanged. Fix the cause first, because a message that is rejected again returns to the
/// list.
#[utoipa::path(
    post, path = "/admin/v1/rejected/republish", tag = "support", operation_id = "republishRejected",
    request_body = request_schemas::Republishing,
    responses((status = 202, description = "Accepted. The messages were published.", body = Republished))
)]
pub(crate) async fn republish_rejected(
    State(api): State<Api>,
    by: Support,
    body: OptionalJsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let limit = Fields::parse(&body.0, "", &mut errors).map(|mut fields| {
        let limit = fields.optional("limit", validators::integer(1..=MAX_REPUBLISHED));
        fields.finish();
        u64::try_from(limit.unwrap_or(MAX_REPUBLISHED)).unwrap_or(0)
    });
    let limit = errors.into_result(limit)?;
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let republished = api.rejected.republish(&api.publisher, limit).await?;
    change.commit(&audit_entry(&by, "rejected.republish", json!({"republished": republished}))).await?;
    Ok((StatusCode::ACCEPTED, Json(Republished { republished })))
}

/// Delete all rejected messages
#[utoipa::path(
    delete, path = "/admin/v1/rejected", tag = "support", operation_id = "deleteRejected",
    responses((status = 204, description = "The rejected messages were deleted."))
)]
pub(crate) async fn delete_rejected(State(api): State<Api>, by: Support) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let dropped = api.rejected.purge().await?;
    change.commit(&audit_entry(&by, "rejected.delete", json!({"deleted": dropped}))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn rejected_view(rejected: RejectedMessage) -> RejectedView {
    let RejectedMessage { reason, detail, message_id, body } = rejected;
    let bytes = body.len();
    let (body, body_encoding) = match String::from_utf8(body) {
        Ok(text) => (text, BodyEncoding::Utf8),
        Err(error) => (STANDARD.encode(error.as_bytes()), BodyEncoding::Base64),
    };
    RejectedView { reason, detail, message_id, body, body_encoding, bytes }
}

fn audit_entry(by: &Support, action: &'static str, after: serde_json::Value) -> Entry {
    Entry {
        actor: by.actor.clone(),
        action,
        brand_id: None,
        subject: "rejected".to_owned(),
        before: None,
        after: Some(after),
    }
}
