//! Event types that support enables for a brand: a type, a group, or all.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use domain::event::catalogue::WEBHOOK_DISABLED;
use domain::event::event_type::TypePattern;
use domain::ids::BrandId;
use store::AuditedTransaction;
use store::api::{brands, event_types};
use utoipa::IntoParams;

use crate::api::Api;
use crate::auth::Support;
use crate::http::path::{self, BrandPath};
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::resources::brands::{BrandInPath, audit_entry, brand_not_found};
use crate::validation::errors::ValidationErrors;

/// The path parameter of a type or group.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; PatternInPath reads the path")]
pub(crate) struct PatternPath {
    /// Event type, group, or `*` for all
    #[param(
        pattern = "^(\\*|[A-Z0-9_]+(\\.[A-Z0-9_]+){0,7})$",
        max_length = 128,
        example = "NOTIFICATION.SMS"
    )]
    type_or_group: String,
}

/// `{typeOrGroup}` of the path. An invalid pattern is a 422.
#[derive(Debug)]
pub(crate) struct PatternInPath(TypePattern);

impl<S: Send + Sync> FromRequestParts<S> for PatternInPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let mut errors = ValidationErrors::default();
        let text = path::read_parameter(parts, state, "typeOrGroup").await?;
        let add_error = |error| errors.add("/typeOrGroup", format!("(in the path) {error}, or *"));
        let pattern = text.parse().map_err(add_error).ok();
        Ok(Self(errors.into_result(pattern)?))
    }
}

/// Enable a type or group for a brand
///
/// Enables every event type that it covers, including types that are added to the catalogue later.
#[utoipa::path(
    put, path = "/admin/v1/brands/{brandId}/event-types/{typeOrGroup}", tag = "support",
    operation_id = "enableEventType",
    params(BrandPath, PatternPath),
    responses((status = 204, description = "The type or group is enabled."))
)]
pub(crate) async fn enable_event_type(
    State(api): State<Api>,
    by: Support,
    BrandInPath(brand): BrandInPath,
    PatternInPath(pattern): PatternInPath,
) -> Result<StatusCode> {
    set_enablement(&api, by, &brand, &pattern, true).await
}

/// Disable a type or group for a brand
///
/// Disables every event type that it covers, except the built-in `WEBHOOK.DISABLED`.
#[utoipa::path(
    delete, path = "/admin/v1/brands/{brandId}/event-types/{typeOrGroup}", tag = "support",
    operation_id = "disableEventType",
    params(BrandPath, PatternPath),
    responses(
        (status = 204, description = "The type or group is disabled."),
        (status = 409, description = "`WEBHOOK.DISABLED` cannot be disabled."),
    )
)]
pub(crate) async fn disable_event_type(
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
    let change = AuditedTransaction::begin(&mut client).await?;
    let before = brands::lock_brand(&change, id).await?.ok_or_else(brand_not_found)?;
    if !on && pattern.as_str() == WEBHOOK_DISABLED {
        return Err(Problem::new(
            ProblemKind::BuiltIn,
            format!("{WEBHOOK_DISABLED} is enabled for every brand and cannot be disabled"),
        ));
    }
    change.lock_configuration().await?;
    let known = event_types::list_names(&change).await?.iter().any(|name| pattern.covers(name));
    if !known && *pattern != TypePattern::All {
        return Err(Problem::not_found(format!("{pattern} is not an event type or group of the catalogue")));
    }
    let mut after = before.clone();
    after.enablement.set_switch(pattern, on);
    if after.enablement != before.enablement {
        let after = brands::update_brand(&change, &after).await?.ok_or_else(brand_not_found)?;
        let action = if on { "event_type.enable" } else { "event_type.disable" };
        change.commit(&audit_entry(by, action, Some(&before), &after)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
