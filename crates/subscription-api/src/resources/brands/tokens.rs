//! The tokens of a brand.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use domain::ids::BrandId;
use domain::limits::MAX_TEXT_CHARS;
use store::AuditedTransaction;
use store::api::audit::Entry;
use store::api::brands;
use store::api::tokens::{self, Role, Token};
use store::keyset::KeysetPosition;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::Support;
use crate::auth::token::generate_token;
use crate::http::body::JsonBody;
use crate::http::page::{self, CursorPosition, Page, PageParams};
use crate::http::path::{self, BrandPath};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::brands::{BrandInPath, brand_not_found, find_brand};
use crate::resources::views::{CreatedToken, TokenView, audit_value};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most tokens of one brand.
const MAX_TOKENS_PER_BRAND: i64 = 1000;

/// The path parameter of a token.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; TokenInPath reads the path")]
pub(crate) struct TokenPath {
    /// Id of the token
    #[param(format = Uuid)]
    token_id: String,
}

/// `{tokenId}` of the path. A text that is no id is a 404, because no token can have it.
#[derive(Debug)]
pub(crate) struct TokenInPath(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for TokenInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let text = path::read_parameter(parts, state, "tokenId").await?;
        Uuid::try_parse(&text).map(Self).map_err(|_| token_not_found())
    }
}

fn token_not_found() -> Problem {
    Problem::not_found("the brand has no such token")
}

/// Create a token
#[utoipa::path(
    post, path = "/admin/v1/brands/{brandId}/tokens", tag = "support", operation_id = "createToken",
    params(BrandPath), request_body = request_schemas::NewToken,
    responses(
        (status = 201, description = "The token was created. Only this response contains its text.", body = CreatedToken),
        (status = 409, description = "The brand has reached its maximum number of tokens."),
    )
)]
pub(crate) async fn create_token(
    State(api): State<Api>,
    by: Support,
    BrandInPath(brand): BrandInPath,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let read = Fields::parse(&body.0, "", &mut errors).and_then(|mut fields| {
        let name = fields.required("name", validators::nonempty_text(MAX_TEXT_CHARS));
        let role: Option<Role> = fields.required("role", validators::parsed_text);
        fields.finish();
        Some((name?, role?))
    });
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    // Locked, so that two concurrent requests cannot both create the last token that is allowed.
    brands::lock_brand(&change, &brand).await?.ok_or_else(brand_not_found)?;
    let (name, role) = errors.into_result(read)?;
    if tokens::count_tokens(&change, &brand).await? >= MAX_TOKENS_PER_BRAND {
        return Err(Problem::conflict(format!(
            "a brand may have {MAX_TOKENS_PER_BRAND} tokens; delete one first"
        )));
    }
    let (token, digest) = generate_token();
    let created = tokens::insert_token(&change, &brand, &name, role, &digest)
        .await?
        .ok_or_else(Problem::internal_error)?;
    change.commit(&audit_entry(by, "token.create", &brand, None, Some(&created))).await?;
    Ok((StatusCode::CREATED, Json(CreatedToken::new(&created, token))))
}

/// List the tokens of a brand
///
/// Oldest first, without the text of the tokens.
#[utoipa::path(
    get, path = "/admin/v1/brands/{brandId}/tokens", tag = "support", operation_id = "listTokens",
    params(BrandPath, PageParams),
    responses((status = 200, description = "A page of tokens.", body = Page<TokenView>))
)]
pub(crate) async fn list_tokens(
    State(api): State<Api>,
    _: Support,
    BrandInPath(brand): BrandInPath,
    mut query: Query,
) -> Result<Json<Page<TokenView>>> {
    let list = format!("tokens/{brand}");
    let limit = query.take_limit();
    let after = page::take_position(&mut query, &list).unwrap_or(KeysetPosition::FIRST);
    query.finish()?;
    find_brand(&api.store, &brand).await?;
    let rows = tokens::list_tokens(&api.store, &brand, after, limit + 1).await?;
    let position = |token: &Token| CursorPosition::from(KeysetPosition { at: token.created, id: token.id });
    Ok(Json(Page::from_rows(&list, rows, limit, position, |token| TokenView::from(&token))))
}

/// Delete a token
///
/// Requests with this token are refused from now on.
#[utoipa::path(
    delete, path = "/admin/v1/brands/{brandId}/tokens/{tokenId}", tag = "support", operation_id = "deleteToken",
    params(BrandPath, TokenPath),
    responses((status = 204, description = "The token was deleted."))
)]
pub(crate) async fn delete_token(
    State(api): State<Api>,
    by: Support,
    BrandInPath(brand): BrandInPath,
    TokenInPath(id): TokenInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let deleted = tokens::delete_token(&change, &brand, id).await?.ok_or_else(token_not_found)?;
    change.commit(&audit_entry(by, "token.delete", &brand, Some(&deleted), None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn audit_entry(
    by: Support,
    action: &'static str,
    brand: &BrandId,
    before: Option<&Token>,
    after: Option<&Token>,
) -> Entry {
    let view = |token: &Token| audit_value(&TokenView::from(token));
    let subject = before.or(after).map(|token| token.id.to_string()).unwrap_or_default();
    Entry {
        actor: by.actor,
        action,
        brand_id: Some(brand.clone()),
        subject,
        before: before.map(view),
        after: after.map(view),
    }
}
