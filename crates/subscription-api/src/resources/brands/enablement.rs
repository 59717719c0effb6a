//! What support enables for a brand: a type, a group, or everything.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::catalogue::WEBHOOK_DISABLED;
use domain::event_type::TypePattern;
use domain::ids::BrandId;
use store::{Change, brands, event_types};
use utoipa::IntoParams;

use crate::api::Api;
use crate::auth::Support;
use crate::http::path::{self, BrandPath};
use crate::http::problem::{Problem, Result};
use crate::resources::brands::{BrandInPath, audit_entry, brand_not_found};
use crate::validation::errors::ValidationErrors;

/// The path of a type or group.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document; PatternInPath reads the path")]
pub struct PatternPath {
    /// An event type, a group, or `*`
    #[param(
        pattern = "^(\\*|[A-Z0-9_]+(\\.[A-Z0-9_]+){0,7})$",
        max_length = 128,
        example = "NOTIFICATION.SMS"
    )]
    type_or_group: String,
}

/// `{typeOrGroup}` of the path; what is none is a 422.
#[derive(Debug)]
pub struct PatternInPath(TypePattern);

impl<S: Send + Sync> FromRequestParts<S> for PatternInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let mut errors = ValidationErrors::default();
        let text = path::read_parameter(parts, state, "typeOrGroup").await?;
        let fault = |error| errors.add("/typeOrGroup", format!("(in the path) {error}, or *"));
        let pattern = text.parse().map_err(fault).ok();
        errors.into_result(pattern).map(Self)
    }
}

/// Enable a type or group for a brand
///
/// Afterwards all that it covers is enabled, also types that come later.
#[utoipa::path(
    put, path = "/admin/v1/brands/{brandId}/event-types/{typeOrGroup}", tag = "support",
    operation_id = "enableEventType",
    params(BrandPath, PatternPath),
    responses((status = 204, description = "It is enabled"))
)]
pub async fn enable_event_type(
    State(api): State<Api>,
    by: Support,
    BrandInPath(brand): BrandInPath,
    PatternInPath(pattern): PatternInPath,
) -> Result<StatusCode> {
    set_enablement(&api, by, &brand, &pattern, true).await
}

/// Disable a type or group for a brand
///
/// Afterwards nothing that it covers is enabled, but for the built-in `WEBHOOK.DISABLED`.
#[utoipa::path(
    delete, path = "/admin/v1/brands/{brandId}/event-types/{typeOrGroup}", tag = "support",
    operation_id = "disableEventType",
    params(BrandPath, PatternPath),
    responses(
        (status = 204, description = "It is disabled"),
        (status = 409, description = "`WEBHOOK.DISABLED` is enabled for every brand"),
    )
)]
pub async fn disable_event_type(
    State(api): State<Api>,
    by: Support,
    BrandInPath(brand): BrandInPath,
    PatternInPath(pattern): PatternInPath,
) -> Result<StatusCode> {
    set_enablement(&api, by, &brand, &pattern, false).await
}

async fn set_enablement(
    api: &Api,
    by: Support,
    id: &BrandId,
    pattern: &TypePattern,
    on: bool,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let before = brands::lock(&change, id).await?.ok_or_else(brand_not_found)?;
    if !on && pattern.as_str() == WEBHOOK_DISABLED {
        return Err(Problem::conflict(format!("{WEBHOOK_DISABLED} is enabled for every brand, always")));
    }
    change.hold_configuration().await?;
    let known = event_types::names(&change).await?.iter().any(|name| pattern.covers(name));
    if !known && *pattern != TypePattern::All {
        return Err(Problem::not_found(format!("{pattern} is no event type or group of the catalogue")));
    }
    let mut after = before.clone();
    after.enablement.switch(pattern, on);
    if after.enablement != before.enablement {
        let after = brands::update(&change, &after).await?.ok_or_else(brand_not_found)?;
        let action = if on { "event_type.enable" } else { "event_type.disable" };
        change.commit(&audit_entry(by, action, Some(&before), &after)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
