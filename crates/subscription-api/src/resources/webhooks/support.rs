//! What support sees and does of webhooks across brands. Only this re-enables a disabled one.

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use domain::ids::{BrandId, WebhookId};
use domain::limits::TEXT_CHARS;
use domain::time::whole_millis;
use domain::webhook::{DisabledReason, WebhookStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use store::Change;
use store::place::Place;
use store::webhooks::{self, Disabled, Webhook};
use utoipa::IntoParams;

use crate::api::Api;
use crate::auth::Support;
use crate::http::body::JsonBody;
use crate::http::cursor;
use crate::http::page::{CursorPosition, Page, PageParams};
use crate::http::path::{WebhookInPath, WebhookPath, webhook_not_found};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::redeliveries::redeliver_held_events;
use crate::resources::views::{WebhookStatusWord, WebhookView};
use crate::resources::webhooks::patch::{EVENTS_POINTER, check_stored_endpoint};
use crate::resources::webhooks::{audit_entry, position};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::subscribable_types::SubscribableTypes;
use crate::validation::validators;

/// The list's name in its cursors.
const LIST: &str = "all-webhooks";

/// Which webhooks are listed.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "for the OpenAPI document; Filter reads the parameters")]
pub struct WebhookParams {
    /// Of this brand
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    brand_id: Option<String>,
    /// That stand here
    status: Option<WebhookStatusWord>,
}

/// What the list is narrowed to, as it stands in its cursor.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Filter {
    brand: Option<BrandId>,
    status: Option<WebhookStatus>,
}

impl Filter {
    /// Reads the filter and where to go on; a cursor stands for the filter that it came from.
    fn read(query: &mut Query) -> (Self, Place) {
        let given = Self {
            brand: query.take_parsed("brandId"),
            status: query.take("status", |text| {
                text.parse()
                    .ok()
                    .filter(|status| *status != WebhookStatus::Deleted)
                    .ok_or("must be active, paused or disabled")
            }),
        };
        let read = |text: &str| cursor::decode::<(Self, CursorPosition)>(LIST, text);
        let Some((own, after)) = query.take("cursor", read) else { return (given, Place::FIRST) };
        let agrees = (given.brand.is_none() || given.brand == own.brand)
            && (given.status.is_none() || given.status == own.status);
        if !agrees {
            query.add_error("cursor", "is of this list with other filters; repeat them, or leave them out");
        }
        (own, after.into())
    }
}

/// List the webhooks of all brands
///
/// Oldest first.
#[utoipa::path(
    get, path = "/admin/v1/webhooks", tag = "support", operation_id = "listAllWebhooks",
    params(WebhookParams, PageParams),
    responses((status = 200, description = "A page of them", body = Page<WebhookView>))
)]
pub async fn list_all_webhooks(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<WebhookView>>> {
    let limit = query.take_limit();
    let (filter, after) = Filter::read(&mut query);
    query.finish()?;
    let rows = match &filter.brand {
        Some(brand) => webhooks::page_of_brand(&api.store, brand, filter.status, after, limit + 1).await?,
        None => webhooks::page_of_all(&api.store, filter.status, after, limit + 1).await?,
    };
    Ok(Json(Page::from_rows(LIST, rows, limit, |webhook| (filter, position(webhook)), WebhookView::from)))
}

/// Disable a webhook
///
/// Attempts stop, and what waits is held.
#[utoipa::path(
    post, path = "/admin/v1/webhooks/{webhookId}/disable", tag = "support", operation_id = "disableWebhook",
    params(WebhookPath), request_body = request_schemas::Disabling,
    responses((status = 200, description = "The webhook as it is now", body = WebhookView))
)]
pub async fn disable_webhook(
    State(api): State<Api>,
    by: Support,
    WebhookInPath(id): WebhookInPath,
    body: JsonBody,
) -> Result<Json<WebhookView>> {
    let mut errors = ValidationErrors::default();
    let detail = Fields::parse(&body.0, "", &mut errors).and_then(|mut fields| {
        let detail = fields.required("detail", validators::nonempty_text(TEXT_CHARS));
        fields.finish();
        detail
    });
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let before = lock_webhook(&change, id).await?;
    let detail = Some(errors.into_result(detail)?);
    let mut after = before.clone();
    let at = whole_millis(Utc::now());
    after.status = WebhookStatus::Disabled;
    after.disabled = Some(Disabled { reason: DisabledReason::Support, detail, at });
    let after = webhooks::update(&change, &after).await?.ok_or_else(webhook_not_found)?;
    change.commit(&audit_entry(&by.actor, "webhook.disable", Some(&before), Some(&after))).await?;
    Ok(Json(after.into()))
}

/// Enable a disabled webhook again
#[utoipa::path(
    post, path = "/admin/v1/webhooks/{webhookId}/enable", tag = "support", operation_id = "enableWebhook",
    params(WebhookPath), request_body = request_schemas::Enabling,
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView),
        (status = 409, description = "It is not disabled"),
    )
)]
pub async fn enable_webhook(
    State(api): State<Api>,
    by: Support,
    WebhookInPath(id): WebhookInPath,
    body: JsonBody,
) -> Result<Json<WebhookView>> {
    let mut errors = ValidationErrors::default();
    let enabling = parse_enabling(&body.0, &mut errors);
    let found = webhooks::find(&api.store, id).await?.ok_or_else(webhook_not_found)?;
    if found.status == WebhookStatus::Disabled {
        check_stored_endpoint(&found, &api.resolver, &mut errors).await;
    }
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let before = lock_webhook(&change, id).await?;
    if before.status != WebhookStatus::Disabled {
        return Err(Problem::conflict(format!("this webhook is {}, not disabled", before.status)));
    }
    change.hold_configuration().await?;
    SubscribableTypes::load(&change, &before.brand_id).await?.check_patterns(
        &before.events,
        EVENTS_POINTER,
        &mut errors,
    );
    let (note, redeliver_held) = errors.into_result(enabling)?;
    let mut after = before.clone();
    after.status = WebhookStatus::Active;
    after.disabled = None;
    let after = webhooks::update(&change, &after).await?.ok_or_else(webhook_not_found)?;
    let mut entry = audit_entry(&by.actor, "webhook.enable", Some(&before), Some(&after));
    if let Some(serde_json::Value::Object(after)) = &mut entry.after {
        after.insert("note".to_owned(), json!(note));
        after.insert("redeliverHeld".to_owned(), json!(redeliver_held));
    }
    if redeliver_held {
        redeliver_held_events(&change, id).await?;
    }
    change.commit(&entry).await?;
    Ok(Json(after.into()))
}

/// The note, and whether what is held is to be sent.
fn parse_enabling(raw: &RawValue, errors: &mut ValidationErrors) -> Option<(String, bool)> {
    let mut fields = Fields::parse(raw, "", errors)?;
    let note = fields.required("note", validators::nonempty_text(TEXT_CHARS));
    let redeliver_held = fields.optional("redeliverHeld", validators::boolean).unwrap_or(false);
    fields.finish();
    Some((note?, redeliver_held))
}

async fn lock_webhook(change: &Change<'_>, id: WebhookId) -> Result<Webhook> {
    let found = webhooks::lock(change, id).await?;
    found.filter(|webhook| webhook.status != WebhookStatus::Deleted).ok_or_else(webhook_not_found)
}
