//! What the router refused: support looks at it, mends the cause, and has it published again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use broker::BrokerError;
use broker::rejected::Rejected;
use runtime::error::Chain;
use serde::Serialize;
use serde_json::json;
use store::Change;
use store::audit::Entry;
use tracing::warn;
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::auth::Support;
use crate::http::body::OptionalJsonBody;
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most messages that one request publishes again.
const MAX_REPUBLISHED: i32 = 10_000;

/// The first of what was refused.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectedPage {
    items: Vec<RejectedView>,
    /// Always null: the queue hands out its first messages only
    #[schema(required)]
    next_cursor: Option<String>,
    /// How many messages there are
    #[schema(minimum = 0)]
    total: u64,
}

/// A message that was refused.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rejected)]
pub struct RejectedView {
    /// A stable code
    #[schema(required, example = "unknown_type")]
    reason: Option<String>,
    /// What is wrong and what to do
    #[schema(required)]
    detail: Option<String>,
    /// The AMQP property `message_id`
    #[schema(required)]
    message_id: Option<String>,
    /// The message as it came
    body: String,
    body_encoding: BodyEncoding,
    /// The size of the message
    #[schema(minimum = 0)]
    bytes: usize,
}

/// How a body is written.
#[derive(Debug, Serialize, ToSchema)]
pub enum BodyEncoding {
    /// As it is
    #[serde(rename = "utf-8")]
    Utf8,
    /// In base64, since it is no UTF-8
    #[serde(rename = "base64")]
    Base64,
}

/// How many are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "for the OpenAPI document; Query reads the parameter")]
pub struct RejectedParams {
    /// Messages at most
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<u32>,
}

/// How many were published again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Republished {
    #[schema(minimum = 0)]
    republished: u64,
}

/// List what the router refused
///
/// The first messages of the queue, in no promised order.
#[utoipa::path(
    get, path = "/admin/v1/rejected", tag = "support", operation_id = "listRejected",
    params(RejectedParams),
    responses((status = 200, description = "The first messages", body = RejectedPage))
)]
pub async fn list_rejected(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<RejectedPage>> {
    let limit = usize::try_from(query.take_limit()).unwrap_or(0);
    query.finish()?;
    let (found, total) = api.rejected.list(limit).await.map_err(broker_unavailable)?;
    Ok(Json(RejectedPage { items: found.into_iter().map(rejected_view).collect(), next_cursor: None, total }))
}

/// Publish what the router refused again
///
/// As it came: once the cause is mended it is taken. What is refused once more is back in the list.
#[utoipa::path(
    post, path = "/admin/v1/rejected/republish", tag = "support", operation_id = "republishRejected",
    request_body = request_schemas::Republishing,
    responses((status = 202, description = "They are published", body = Republished))
)]
pub async fn republish_rejected(
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
    let change = Change::begin(&mut client).await?;
    let republished = api.rejected.republish(&api.publisher, limit).await.map_err(broker_unavailable)?;
    change.commit(&audit_entry(&by, "rejected.republish", json!({"republished": republished}))).await?;
    Ok((StatusCode::ACCEPTED, Json(Republished { republished })))
}

/// Drop what the router refused
#[utoipa::path(
    delete, path = "/admin/v1/rejected", tag = "support", operation_id = "deleteRejected",
    responses((status = 204, description = "The queue is empty"))
)]
pub async fn delete_rejected(State(api): State<Api>, by: Support) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let dropped = api.rejected.purge().await.map_err(broker_unavailable)?;
    change.commit(&audit_entry(&by, "rejected.delete", json!({"deleted": dropped}))).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn rejected_view(rejected: Rejected) -> RejectedView {
    let Rejected { reason, detail, message_id, body } = rejected;
    let bytes = body.len();
    let (body, body_encoding) = match String::from_utf8(body) {
        Ok(text) => (text, BodyEncoding::Utf8),
        Err(error) => (STANDARD.encode(error.as_bytes()), BodyEncoding::Base64),
    };
    RejectedView { reason, detail, message_id, body, body_encoding, bytes }
}

pub(crate) fn broker_unavailable(error: BrokerError) -> Problem {
    warn!(error = %Chain(&error), "answered 503");
    Problem::service_unavailable("the broker does not answer; try again soon")
}

fn audit_entry(by: &Support, action: &'static str, after: serde_json::Value) -> Entry {
    let (actor, subject) = (by.actor.clone(), "rejected".to_owned());
    Entry { actor, action, brand_id: None, subject, before: None, after: Some(after) }
}
