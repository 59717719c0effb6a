//! The tokens of a brand for the brand itself.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use crate::api::Api;
use crate::auth::{BrandReader, BrandWriter};
use crate::http::body::JsonBody;
use crate::http::page::{Page, PageParams};
use crate::http::path::BrandPath;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::tokens::of_brand::{self, Issuer};
use crate::resources::tokens::{TokenInPath, TokenPath};
use crate::resources::views::{CreatedToken, TokenView};

impl From<BrandWriter> for Issuer {
    fn from(by: BrandWriter) -> Self {
        Self { actor: by.actor, brand: by.brand, token: by.token }
    }
}

/// Create a token of your brand
///
/// Requires a token with the role `write`. Only this response contains the text of the new token. A token of
/// the brand that expires creates no other that expires later.
#[utoipa::path(
    post, path = "/v1/{brandId}/tokens", tag = "tokens", operation_id = "createBrandToken",
    params(BrandPath), request_body = request_schemas::NewToken,
    responses(
        (status = 201, description = "The token was created. Only this response contains its text.", body = CreatedToken),
        (status = 409, description = "The brand has reached its maximum number of tokens."),
    )
)]
pub(crate) async fn create_brand_token(
    State(api): State<Api>,
    by: BrandWriter,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    Issuer::from(by).create(&api, &body).await
}

/// List the tokens of your brand
///
/// Oldest first, without the text of the tokens.
#[utoipa::path(
    get, path = "/v1/{brandId}/tokens", tag = "tokens", operation_id = "listBrandTokens",
    params(BrandPath, PageParams),
    responses((status = 200, description = "A page of tokens.", body = Page<TokenView>))
)]
pub(crate) async fn list_brand_tokens(
    State(api): State<Api>,
    by: BrandReader,
    query: Query,
) -> Result<Json<Page<TokenView>>> {
    of_brand::read_page(&api, &by.brand, query).await
}

/// Delete a token of your brand
///
/// Requires a token with the role `write`. Requests with the deleted token are refused from now on. A token can also delete
/// itself.
#[utoipa::path(
    delete, path = "/v1/{brandId}/tokens/{tokenId}", tag = "tokens", operation_id = "deleteBrandToken",
    params(BrandPath, TokenPath),
    responses((status = 204, description = "The token was deleted."))
)]
pub(crate) async fn delete_brand_token(
    State(api): State<Api>,
    by: BrandWriter,
    TokenInPath(id): TokenInPath,
) -> Result<StatusCode> {
    Issuer::from(by).delete(&api, id).await
}
