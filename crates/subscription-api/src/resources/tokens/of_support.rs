//! The named tokens of support, so that the audit tells the people of support apart.
//!
//! The support token of the settings creates the first one. It is no row of the database, and is not listed.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use store::AuditedTransaction;
use store::api::audit::Entry;
use store::api::support_tokens::{self, NamedSupportToken};
use store::keyset::KeysetPosition;

use crate::api::Api;
use crate::auth::token::{TokenKind, generate_token};
use crate::auth::{CallerToken, Support};
use crate::http::body::JsonBody;
use crate::http::page::{self, CursorPosition, Page, PageParams};
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::tokens::{TokenInPath, TokenPath, read_expiry, read_name, token_not_found};
use crate::resources::views::{CreatedSupportToken, SupportTokenView, audit_value};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;

/// Most named tokens of support.
pub(crate) const MAX_SUPPORT_TOKENS: i64 = 1000;
/// Name of the list in its cursors.
const LIST: &str = "support-tokens";

/// Create a support token
///
/// The name appears in the audit beside everything that is done with the token. The response is the only one that contains
/// the text of the token. A token that expires creates no other that expires later.
#[utoipa::path(
    post, path = "/admin/v1/tokens", tag = "support", operation_id = "createSupportToken",
    request_body = request_schemas::NewSupportToken,
    responses(
        (status = 201, description = "The token was created. Only this response contains its text.",
         body = CreatedSupportToken),
        (status = 409, description = "Support has reached its maximum number of tokens."),
    )
)]
pub(crate) async fn create_support_token(
    State(api): State<Api>,
    by: Support,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let read = Fields::parse(&body.0, "", &mut errors).and_then(|mut fields| {
        let name = read_name(&mut fields);
        let own_end = match by.token {
            CallerToken::Support(_, end) => end,
            CallerToken::Settings | CallerToken::Brand(..) => None,
        };
        let expires = read_expiry(&mut fields, own_end);
        fields.finish();
        Some((name?, expires))
    });
    let (name, expires) = errors.into_result(read)?;
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    by.token.lock(&change).await?;
    if support_tokens::lock_and_count(&change).await? >= MAX_SUPPORT_TOKENS {
        return Err(Problem::new(
            ProblemKind::LimitReached,
            format!("support may have {MAX_SUPPORT_TOKENS} tokens; delete one first"),
        ));
    }
    let (token, digest) = generate_token(TokenKind::Support);
    let created = support_tokens::insert_token(&change, &name, &digest, expires)
        .await?
        .ok_or_else(Problem::internal_error)?;
    change.commit(&audit_entry(by, "support_token.create", None, Some(&created))).await?;
    Ok((StatusCode::CREATED, Json(CreatedSupportToken::new(&created, token))))
}

/// List the support tokens
///
/// Oldest first, without the text of the tokens. The support token of the settings is not listed.
#[utoipa::path(
    get, path = "/admin/v1/tokens", tag = "support", operation_id = "listSupportTokens",
    params(PageParams),
    responses((status = 200, description = "A page of support tokens.", body = Page<SupportTokenView>))
)]
pub(crate) async fn list_support_tokens(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<SupportTokenView>>> {
    let limit = query.take_limit();
    let after = page::take_position(&mut query, LIST).unwrap_or(KeysetPosition::FIRST);
    query.finish()?;
    let rows = support_tokens::list_tokens(&api.store, after, limit + 1).await?;
    let position =
        |token: &NamedSupportToken| CursorPosition::from(KeysetPosition { at: token.created, id: token.id });
    Ok(Json(Page::from_rows(LIST, rows, limit, position, |token| SupportTokenView::from(&token))))
}

/// Delete a support token
///
/// Requests with this token are refused from now on. A token can also delete itself. The support token of the settings stays
/// valid.
#[utoipa::path(
    delete, path = "/admin/v1/tokens/{tokenId}", tag = "support", operation_id = "deleteSupportToken",
    params(TokenPath),
    responses((status = 204, description = "The token was deleted."))
)]
pub(crate) async fn delete_support_token(
    State(api): State<Api>,
    by: Support,
    TokenInPath(id): TokenInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let deleted = support_tokens::delete_token(&change, id).await?.ok_or_else(token_not_found)?;
    change.commit(&audit_entry(by, "support_token.delete", Some(&deleted), None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn audit_entry(
    by: Support,
    action: &'static str,
    before: Option<&NamedSupportToken>,
    after: Option<&NamedSupportToken>,
) -> Entry {
    let view = |token: &NamedSupportToken| audit_value(&SupportTokenView::from(token));
    let subject = before.or(after).map(|token| token.id.to_string()).unwrap_or_default();
    Entry {
        actor: by.actor,
        action,
        brand_id: None,
        subject,
        before: before.map(view),
        after: after.map(view),
    }
}
