//! The ids in a path. What is no id cannot be there: 404.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use domain::ids::{EventId, WebhookId};
use utoipa::IntoParams;

use crate::http::problem::{Problem, Result};

/// The text of a path parameter, decoded.
///
/// # Errors
/// 404 when it is no UTF-8.
pub async fn read_parameter<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|_| Problem::not_found("the path is not UTF-8"))?;
    let found = params.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
    Ok(found.unwrap_or_else(|| unreachable!("the route has {{{name}}}")))
}

/// `{webhookId}` of the path.
#[derive(Debug, Clone, Copy)]
pub struct WebhookInPath(pub WebhookId);

/// `{eventId}` of the path.
#[derive(Debug, Clone, Copy)]
pub struct EventInPath(pub EventId);

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

/// 404 for a webhook.
#[must_use]
pub fn webhook_not_found() -> Problem {
    Problem::not_found("there is no such webhook")
}

/// 404 for an event.
#[must_use]
pub fn event_not_found() -> Problem {
    Problem::not_found("this webhook has no such event; events expire after the retention time")
}

/// The path of what belongs to a brand.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document; the extractors read the path")]
pub struct BrandPath {
    /// The brand
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "acme")]
    brand_id: String,
}

/// The path of a webhook.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document; the extractors read the path")]
pub struct WebhookPath {
    /// The webhook
    #[param(format = Uuid, example = "9e21c694-ee9e-48a7-b016-522fd8ef08c1")]
    webhook_id: String,
}

/// The path of an event.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document; the extractors read the path")]
pub struct EventPath {
    /// The event (a ULID)
    #[param(pattern = "^[0-7][0-9A-Za-z]{25}$", example = "01F2SFVYVD0H873S2VRT8VQSPM")]
    event_id: String,
}
