//! Whose token this is, for tools that are given nothing but a token.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::AnyCaller;

/// The owner of a token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Me)]
pub struct MeView {
    /// What the token may do
    #[schema(value_type = MeRole)]
    role: &'static str,
    /// The token's brand; null for support, who reach every brand
    #[schema(required)]
    brand_id: Option<String>,
    /// What the token is called; null for support
    #[schema(required)]
    name: Option<String>,
    /// The AMQP exchange that producers publish to
    #[schema(example = "postrider.events")]
    exchange: String,
}

/// What a token may do.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "for the OpenAPI document")]
pub enum MeRole {
    /// Everything, of every brand
    Support,
    /// Everything of its brand
    Write,
    /// Look at its brand
    Read,
}

/// Whose token this is
#[utoipa::path(
    get, path = "/v1/me", tag = "webhooks", operation_id = "readMe",
    responses((status = 200, description = "The token's owner", body = MeView))
)]
pub async fn read_caller(State(api): State<Api>, by: AnyCaller) -> Json<MeView> {
    let exchange = api.names.events();
    Json(match by {
        AnyCaller::Support => MeView { role: "support", brand_id: None, name: None, exchange },
        AnyCaller::Brand(token) => MeView {
            role: token.role.as_str(),
            brand_id: Some(token.brand_id.to_string()),
            name: Some(token.name),
            exchange,
        },
    })
}
