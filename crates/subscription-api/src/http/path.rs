//! Extractors of the ids in a path. A text that is no id is a 404, because nothing can have that id.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use domain::ids::{AttemptId, EventId, WebhookId};
use utoipa::IntoParams;

use crate::http::problem::{Problem, Result};

/// Reads a path parameter as decoded text.
///
/// # Errors
/// 404 when the path is not UTF-8.
pub(crate) async fn read_parameter<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|_| Problem::not_found("the path is not UTF-8"))?;
    let found = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    Ok(found.expect("the route has this parameter"))
}

/// `{webhookId}` of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebhookInPath(pub(crate) WebhookId);

/// `{eventId}` of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventInPath(pub(crate) EventId);

/// `{attemptId}` of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptInPath(pub(crate) AttemptId);

impl<S: Send + Sync> FromRequestParts<S> for AttemptInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = read_parameter(parts, state, "attemptId").await?;
        text.parse().map(Self).map_err(|_| attempt_not_found())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WebhookInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = read_parameter(parts, state, "webhookId").await?;
        text.parse().map(Self).map_err(|_| webhook_not_found())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for EventInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = read_parameter(parts, state, "eventId").await?;
        text.parse().map(Self).map_err(|_| event_not_found())
    }
}

/// The 404 of a webhook.
#[must_use]
pub(crate) fn webhook_not_found() -> Problem {
    Problem::not_found("there is no such webhook")
}

/// The 404 of an event.
#[must_use]
pub(crate) fn event_not_found() -> Problem {
    Problem::not_found("this webhook has no such event; events expire after the retention time")
}

/// The 404 of an attempt.
#[must_use]
pub(crate) fn attempt_not_found() -> Problem {
    Problem::not_found("this event has no such attempt")
}

/// The path parameter of a brand.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the extractors read the path")]
pub(crate) struct BrandPath {
    /// Id of the brand
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "acme")]
    brand_id: String,
}

/// The path parameter of a webhook.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the extractors read the path")]
pub(crate) struct WebhookPath {
    /// Id of the webhook
    #[param(format = Uuid, example = "9e21c694-ee9e-48a7-b016-522fd8ef08c1")]
    webhook_id: String,
}

/// The path parameter of an event.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the extractors read the path")]
pub(crate) struct EventPath {
    /// Id of the event, a ULID
    #[param(pattern = "^[0-7][0-9A-Za-z]{25}$", example = "01F2SFVYVD0H873S2VRT8VQSPM")]
    event_id: String,
}

/// The path parameter of an attempt.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the extractors read the path")]
pub(crate) struct AttemptPath {
    /// Id of the attempt, a ULID
    #[param(pattern = "^[0-7][0-9A-Za-z]{25}$", example = "01F2SFW32CT8KZXDWG4JTG9WPT")]
    attempt_id: String,
}
