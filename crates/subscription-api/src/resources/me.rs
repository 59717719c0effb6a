//! The owner of a token, for tools that have only a token.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::AnyCaller;
use crate::openapi::samples;

/// The owner of a token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Me, example = samples::me)]
pub(crate) struct MeView {
    /// Role of the token
    #[schema(value_type = MeRole)]
    role: &'static str,
    /// Brand of the token; null for support, which has access to every brand
    #[schema(required)]
    brand_id: Option<String>,
    /// Name of the token; null for the support token of the settings
    #[schema(required)]
    name: Option<String>,
    /// AMQP exchange to which producers publish
    exchange: String,
}

/// Role of a token.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "only the OpenAPI document uses it")]
pub(crate) enum MeRole {
    /// Full access to every brand
    Support,
    /// Full access to its brand
    Write,
    /// Read access to its brand
    Read,
}

/// Read the owner of the token
///
/// Tells a client to which brand its token belongs, or that it belongs to support, and the role of the token.
#[utoipa::path(
    get, path = "/v1/me", tag = "webhooks", operation_id = "readMe",
    responses((status = 200, description = "The owner of the token.", body = MeView))
)]
pub(crate) async fn read_caller(State(api): State<Api>, by: AnyCaller) -> Json<MeView> {
    let exchange = api.names.events_exchange();
    Json(match by {
        AnyCaller::Support(token) => {
            MeView { role: "support", brand_id: None, name: token.map(|token| token.name), exchange }
        }
        AnyCaller::Brand(token) => MeView {
            role: token.role.as_str(),
            brand_id: Some(token.brand_id.to_string()),
            name: Some(token.name),
            exchange,
        },
    })
}
