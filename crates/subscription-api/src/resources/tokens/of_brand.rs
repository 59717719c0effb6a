//! The tokens of a brand, and the routes of support about them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use domain::ids::BrandId;
use domain::time::Timestamp;
use store::AuditedTransaction;
use store::api::audit::Entry;
use store::api::brands;
use store::api::tokens::{self, Role, Token};
use store::keyset::KeysetPosition;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::token::{TokenKind, generate_token};
use crate::auth::{CallerToken, Support};
use crate::http::body::JsonBody;
use crate::http::page::{self, CursorPosition, Page, PageParams};
use crate::http::path::BrandPath;
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::brands::{BrandInPath, brand_not_found, find_brand};
use crate::resources::tokens::{TokenInPath, TokenPath, read_expiry, read_name, token_not_found};
use crate::resources::views::{CreatedToken, TokenView, audit_value};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// Most tokens of one brand.
pub(crate) const MAX_TOKENS_PER_BRAND: i64 = 1000;
/// Number of tokens up to which a brand creates some itself. Each has a rate of its own, so that a brand could give itself any
/// rate otherwise.
pub(crate) const MAX_OWN_TOKENS: i64 = 100;

/// The caller that changes the tokens of a brand.
pub(super) struct Issuer {
    /// The name of the caller in the audit.
    pub(super) actor: String,
    pub(super) brand: BrandId,
    pub(super) token: CallerToken,
}

/// Create a token
///
/// Only this response contains the text of the token.
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
    let issuer = Issuer { actor: by.actor, brand, token: by.token };
    issuer.create(&api, &body).await
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
    query: Query,
) -> Result<Json<Page<TokenView>>> {
    read_page(&api, &brand, query).await
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
    let issuer = Issuer { actor: by.actor, brand, token: by.token };
    issuer.delete(&api, id).await
}

/// Reads a page of the tokens of a brand.
pub(super) async fn read_page(api: &Api, brand: &BrandId, mut query: Query) -> Result<Json<Page<TokenView>>> {
    let list = format!("tokens/{brand}");
    let limit = query.take_limit();
    let after = page::take_position(&mut query, &list).unwrap_or(KeysetPosition::FIRST);
    query.finish()?;
    find_brand(&api.store, brand).await?;
    let rows = tokens::list_tokens(&api.store, brand, after, limit + 1).await?;
    let position = |token: &Token| CursorPosition::from(KeysetPosition { at: token.created, id: token.id });
    Ok(Json(Page::from_rows(&list, rows, limit, position, |token| TokenView::from(&token))))
}

impl Issuer {
    /// Creates a token from the body of a request.
    pub(super) async fn create(self, api: &Api, body: &JsonBody) -> Result<(StatusCode, Json<CreatedToken>)> {
        let mut errors = ValidationErrors::default();
        let read = Fields::parse(&body.0, "", &mut errors).and_then(|mut fields| {
            let name = read_name(&mut fields);
            let role: Option<Role> = fields.required("role", validators::parsed_text);
            let expires = read_expiry(&mut fields, self.end_of_new_tokens());
            fields.finish();
            Some((name?, role?, expires))
        });
        let mut client = api.store.client().await?;
        let change = AuditedTransaction::begin(&mut client).await?;
        // Locked, so that two concurrent requests cannot both create the last token that is allowed.
        brands::lock_brand(&change, &self.brand).await?.ok_or_else(brand_not_found)?;
        let (name, role, expires) = errors.into_result(read)?;
        self.token.lock(&change).await?;
        self.check_number(tokens::count_tokens(&change, &self.brand).await?)?;
        let (token, digest) = generate_token(TokenKind::Brand);
        let created = tokens::insert_token(&change, &self.brand, &name, role, &digest, expires)
            .await?
            .ok_or_else(Problem::internal_error)?;
        change.commit(&self.audit_entry("token.create", None, Some(&created))).await?;
        Ok((StatusCode::CREATED, Json(CreatedToken::new(&created, token))))
    }

    fn check_number(&self, existing: i64) -> Result<()> {
        let detail = match self.token {
            CallerToken::Brand(..) if existing >= MAX_OWN_TOKENS => {
                format!(
                    "a brand that has {MAX_OWN_TOKENS} tokens creates no more; delete one first, or ask support"
                )
            }
            _ if existing >= MAX_TOKENS_PER_BRAND => {
                format!("a brand may have {MAX_TOKENS_PER_BRAND} tokens; delete one first")
            }
            _ => return Ok(()),
        };
        Err(Problem::new(ProblemKind::LimitReached, detail))
    }

    /// Returns until when the new tokens of this caller may be valid. A token with an end creates none of its owner that
    /// outlives it. Otherwise it could replace itself, and its end would mean nothing. A brand's token may outlive support's
    /// that created it.
    fn end_of_new_tokens(&self) -> Option<Timestamp> {
        match self.token {
            CallerToken::Brand(_, end) => end,
            CallerToken::Settings | CallerToken::Support(..) => None,
        }
    }

    /// Deletes a token of the brand.
    pub(super) async fn delete(self, api: &Api, id: Uuid) -> Result<StatusCode> {
        let mut client = api.store.client().await?;
        let change = AuditedTransaction::begin(&mut client).await?;
        let deleted = tokens::delete_token(&change, &self.brand, id).await?.ok_or_else(token_not_found)?;
        change.commit(&self.audit_entry("token.delete", Some(&deleted), None)).await?;
        Ok(StatusCode::NO_CONTENT)
    }

    fn audit_entry(self, action: &'static str, before: Option<&Token>, after: Option<&Token>) -> Entry {
        let view = |token: &Token| audit_value(&TokenView::from(token));
        let subject = before.or(after).map(|token| token.id.to_string()).unwrap_or_default();
        Entry {
            actor: self.actor,
            action,
            brand_id: Some(self.brand),
            subject,
            before: before.map(view),
            after: after.map(view),
        }
    }
}
