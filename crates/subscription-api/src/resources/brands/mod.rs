//! Brands and their points of contact.

pub(crate) mod enablement;
mod quotas;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use domain::ids::BrandId;
use domain::limits::MAX_TEXT_CHARS;
use domain::quota::BrandQuota;
use serde_json::value::RawValue;
use store::api::audit::Entry;
use store::api::backlogs;
use store::api::brands::{self, Brand, Contact};
use store::{AuditedTransaction, Executor};

use crate::api::Api;
use crate::auth::Support;
use crate::http::body::{JsonBody, PatchBody};
use crate::http::cursor;
use crate::http::page::{Page, PageParams};
use crate::http::path::{self, BrandPath};
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::views::{BrandView, audit_value};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::patch::Patch;
use crate::validation::validators;

/// Longest email address, in characters (RFC 5321, erratum 1690).
const MAX_EMAIL_CHARS: usize = 254;
/// Name of the list in its cursors.
const LIST: &str = "brands";

/// `{brandId}` of a support route. A text that is no id is a 404, because no brand can have it.
#[derive(Debug)]
pub(crate) struct BrandInPath(pub(crate) BrandId);

impl<S: Send + Sync> FromRequestParts<S> for BrandInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        path::read_parameter(parts, state, "brandId").await?.parse().map(Self).map_err(|_| brand_not_found())
    }
}

/// The 404 of a brand.
pub(crate) fn brand_not_found() -> Problem {
    Problem::not_found("there is no such brand")
}

/// Create a brand
///
/// No event type is enabled for a new brand.
#[utoipa::path(
    post, path = "/admin/v1/brands", tag = "support", operation_id = "createBrand",
    request_body = request_schemas::NewBrand,
    responses(
        (status = 201, description = "The brand was created.", body = BrandView,
         headers(("Location" = String, description = "Path of the brand"))),
        (status = 409, description = "A brand with this id exists already."),
    )
)]
pub(crate) async fn create_brand(
    State(api): State<Api>,
    by: Support,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let read = Fields::parse(&body.0, "", &mut errors).and_then(|mut fields| {
        let id: Option<BrandId> = fields.required("brandId", validators::parsed_text);
        let name = fields.required("name", validators::nonempty_text(MAX_TEXT_CHARS));
        let contact = fields.clearable("contact", parse_contact).into_option();
        let quotas = fields.clearable("quotas", quotas::parse_patch(BrandQuota::default())).into_option();
        fields.finish();
        Some((id?, name?, contact, quotas.unwrap_or_default()))
    });
    let (id, name, contact, quotas) = errors.into_result(read)?;
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let created = brands::insert_brand(&change, &id, &name, contact.as_ref(), &quotas).await?;
    let created = created
        .ok_or_else(|| Problem::new(ProblemKind::AlreadyExists, format!("there is a brand {id} already")))?;
    change.commit(&audit_entry(by, "brand.create", None, &created)).await?;
    let location = format!("/admin/v1/brands/{id}");
    // Nothing can wait for a new brand.
    let view = BrandView::with_backlog(&created, None);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)))
}

/// List all brands
///
/// Ordered by id.
#[utoipa::path(
    get, path = "/admin/v1/brands", tag = "support", operation_id = "listBrands",
    params(PageParams),
    responses((status = 200, description = "A page of brands.", body = Page<BrandView>))
)]
pub(crate) async fn list_brands(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<BrandView>>> {
    let limit = query.take_limit();
    let after: Option<BrandId> = query.take("cursor", |text| cursor::decode(LIST, text));
    query.finish()?;
    let rows = brands::list_brands(&api.store, after.as_ref(), limit + 1).await?;
    let ids: Vec<&str> = rows.iter().map(|brand| brand.id.as_str()).collect();
    let backlogs = backlogs::load_backlogs(&api.store, &ids).await?;
    let view = |brand: Brand| BrandView::with_backlog(&brand, backlogs.get(&brand.id));
    Ok(Json(Page::from_rows(LIST, rows, limit, |brand| brand.id.clone(), view)))
}

/// Read a brand
///
/// Returns the brand with its contact, its quotas, and the events that wait to be routed.
#[utoipa::path(
    get, path = "/admin/v1/brands/{brandId}", tag = "support", operation_id = "readBrand",
    params(BrandPath),
    responses((status = 200, description = "The brand.", body = BrandView))
)]
pub(crate) async fn read_brand(
    State(api): State<Api>,
    _: Support,
    BrandInPath(id): BrandInPath,
) -> Result<Json<BrandView>> {
    let brand = find_brand(&api.store, &id).await?;
    Ok(Json(view_with_backlog(&api.store, &brand).await?))
}

/// Change a brand
///
/// The body is a JSON merge patch: absent fields stay, `"contact": null` removes the contact, and a quota that is null
/// has its default. Routers and API processes apply changed quotas within about a second.
#[utoipa::path(
    patch, path = "/admin/v1/brands/{brandId}", tag = "support", operation_id = "changeBrand",
    params(BrandPath),
    request_body(content(
        (request_schemas::BrandPatch = "application/merge-patch+json"),
        (request_schemas::BrandPatch = "application/json"),
    )),
    responses((status = 200, description = "The changed brand.", body = BrandView))
)]
pub(crate) async fn change_brand(
    State(api): State<Api>,
    by: Support,
    BrandInPath(id): BrandInPath,
    body: PatchBody,
) -> Result<Json<BrandView>> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let before = brands::lock_brand(&change, &id).await?.ok_or_else(brand_not_found)?;
    let after = apply_patch(&before, &body.0)?;
    if after.name == before.name && after.contact == before.contact && after.quotas == before.quotas {
        return Ok(Json(view_with_backlog(&change, &before).await?));
    }
    let after = brands::update_brand(&change, &after).await?.ok_or_else(brand_not_found)?;
    let view = view_with_backlog(&change, &after).await?;
    change.commit(&audit_entry(by, "brand.change", Some(&before), &after)).await?;
    Ok(Json(view))
}

fn apply_patch(before: &Brand, raw: &RawValue) -> Result<Brand> {
    let mut errors = ValidationErrors::default();
    let mut after = before.clone();
    let own = after.contact.clone();
    let read = Fields::parse(raw, "", &mut errors).map(|mut fields| {
        if let Some(name) = fields.optional("name", validators::nonempty_text(MAX_TEXT_CHARS)) {
            after.name = name;
        }
        let contact: Patch<Contact> = fields
            .clearable("contact", |raw, pointer, errors| parse_contact_patch(own, raw, pointer, errors));
        contact.apply_to_option(&mut after.contact);
        let quotas = fields.clearable("quotas", quotas::parse_patch(before.quotas));
        quotas.apply(&mut after.quotas, BrandQuota::default());
        fields.finish();
    });
    errors.into_result(read)?;
    Ok(after)
}

/// Applies a patch to the contact. The result must have a name and an email address.
fn parse_contact_patch(
    own: Option<Contact>,
    raw: &RawValue,
    pointer: &str,
    errors: &mut ValidationErrors,
) -> Option<Contact> {
    let Some(own) = own else { return parse_contact(raw, pointer, errors) };
    let mut fields = Fields::parse(raw, pointer, errors)?;
    let name = fields.optional("name", validators::nonempty_text(MAX_TEXT_CHARS)).unwrap_or(own.name);
    let email = fields.optional("email", parse_email).unwrap_or(own.email);
    fields.finish();
    Some(Contact { name, email })
}

fn parse_contact(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<Contact> {
    let mut fields = Fields::parse(raw, pointer, errors)?;
    let name = fields.required("name", validators::nonempty_text(MAX_TEXT_CHARS));
    let email = fields.required("email", parse_email);
    fields.finish();
    Some(Contact { name: name?, email: email? })
}

/// Accepts an email address. The check is rough, because only sending a message would prove the address.
fn parse_email(raw: &RawValue, pointer: &str, errors: &mut ValidationErrors) -> Option<String> {
    let text = validators::nonempty_text(MAX_EMAIL_CHARS)(raw, pointer, errors)?;
    let parts = text.split_once('@');
    let fits =
        parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if !fits || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        errors.add(pointer, "must be an email address, such as ops@example.com");
        return None;
    }
    Some(text)
}

async fn view_with_backlog(db: &impl Executor, brand: &Brand) -> Result<BrandView> {
    let backlogs = backlogs::load_backlogs(db, &[brand.id.as_str()]).await?;
    Ok(BrandView::with_backlog(brand, backlogs.get(&brand.id)))
}

/// Finds a brand.
///
/// # Errors
/// 404 when there is none.
pub(crate) async fn find_brand(db: &impl Executor, id: &BrandId) -> Result<Brand> {
    brands::find_brand(db, id).await?.ok_or_else(brand_not_found)
}

/// The audit entry of a change to a brand.
pub(crate) fn audit_entry(by: Support, action: &'static str, before: Option<&Brand>, after: &Brand) -> Entry {
    let view = |brand: &Brand| audit_value(&BrandView::from(brand));
    Entry {
        actor: by.actor,
        action,
        brand_id: Some(after.id.clone()),
        subject: after.id.to_string(),
        before: before.map(view),
        after: Some(view(after)),
    }
}
