//! Webhooks of all brands, for support: list, disable and enable. Only support can enable a disabled webhook.

use axum::Json;
use axum::extract::State;
use chrono::{TimeDelta, Utc};
use domain::delivery::DeliveryStatus;
use domain::delivery::attempt::Trigger;
use domain::ids::WebhookId;
use domain::limits::MAX_TEXT_CHARS;
use domain::time::{Timestamp, truncate_to_millis};
use domain::webhook::{DisabledReason, WebhookStatus};
use serde_json::json;
use serde_json::value::RawValue;
use store::AuditedTransaction;
use store::api::webhooks::{self, Disabled, Webhook};
use store::redelivery::jobs::{self, Selection, SelectionCount};
use utoipa::IntoParams;

use crate::api::Api;
use crate::auth::Support;
use crate::http::body::JsonBody;
use crate::http::page::{Page, PageParams};
use crate::http::path::{WebhookInPath, WebhookPath, webhook_not_found};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::{request_schemas, samples};
use crate::resources::views::WebhookView;
use crate::resources::webhooks::health_state::view_changed;
use crate::resources::webhooks::listing::{WebhookListParams, WebhookListing};
use crate::resources::webhooks::lookup::audit_change;
use crate::resources::webhooks::patch::{EVENTS_POINTER, check_stored_endpoint};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::subscribable_types::SubscribableTypes;
use crate::validation::validators;

/// Name of the list in its cursors.
const LIST: &str = "all-webhooks";

/// The filter of the list by brand.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the handler reads the parameter")]
pub(crate) struct BrandFilterParams {
    /// Only webhooks of this brand
    #[param(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    brand_id: Option<String>,
}

/// List the webhooks of all brands
///
/// Oldest first, or with `order=attention` the worst first: failing, disabled, resting, healthy and idle, paused. A page that
/// had to read many webhooks may be short and still have a `nextCursor`.
#[utoipa::path(
    get, path = "/admin/v1/webhooks", tag = "support", operation_id = "listAllWebhooks",
    params(BrandFilterParams, WebhookListParams, PageParams),
    responses((status = 200, description = "A page of webhooks.", body = Page<WebhookView>))
)]
pub(crate) async fn list_all_webhooks(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<WebhookView>>> {
    let limit = query.take_limit();
    let brand = query.take_parsed("brandId");
    let listing = WebhookListing::parse(&mut query, LIST.to_owned(), brand);
    query.finish()?;
    Ok(Json(listing.read_page(&api, limit).await?))
}

/// Disable a webhook
///
/// Attempts stop, and deliveries that have not ended become `held`.
#[utoipa::path(
    post, path = "/admin/v1/webhooks/{webhookId}/disable", tag = "support", operation_id = "disableWebhook",
    params(WebhookPath), request_body = request_schemas::Disabling,
    responses((
        status = 200, description = "The changed webhook.", body = WebhookView,
        example = json!(samples::disabled_webhook()),
    ))
)]
pub(crate) async fn disable_webhook(
    State(api): State<Api>,
    by: Support,
    WebhookInPath(id): WebhookInPath,
    body: JsonBody,
) -> Result<Json<WebhookView>> {
    let mut errors = ValidationErrors::default();
    let detail = Fields::parse(&body.0, "", &mut errors).and_then(|mut fields| {
        let detail = fields.required("detail", validators::nonempty_text(MAX_TEXT_CHARS));
        fields.finish();
        detail
    });
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let before = lock_existing(&change, id).await?;
    let detail = Some(errors.into_result(detail)?);
    let mut after = before.clone();
    let at = truncate_to_millis(Utc::now());
    after.status = WebhookStatus::Disabled;
    after.disabled = Some(Disabled { reason: DisabledReason::Support, detail, at });
    let after = webhooks::update_webhook(&change, &after).await?.ok_or_else(webhook_not_found)?;
    change.commit(&audit_change(&by.actor, "webhook.disable", Some(&before), Some(&after))).await?;
    Ok(Json(view_changed(&api, after).await))
}

/// Enable a disabled webhook
///
/// The endpoint and the events are checked again. With `redeliverHeld`, the held deliveries are redelivered.
#[utoipa::path(
    post, path = "/admin/v1/webhooks/{webhookId}/enable", tag = "support", operation_id = "enableWebhook",
    params(WebhookPath), request_body = request_schemas::Enabling,
    responses(
        (status = 200, description = "The changed webhook.", body = WebhookView),
        (status = 409, description = "The webhook is not disabled."),
    )
)]
pub(crate) async fn enable_webhook(
    State(api): State<Api>,
    by: Support,
    WebhookInPath(id): WebhookInPath,
    body: JsonBody,
) -> Result<Json<WebhookView>> {
    let mut errors = ValidationErrors::default();
    let enabling = parse_enabling(&body.0, &mut errors);
    let found = webhooks::find_webhook(&api.store, id).await?.ok_or_else(webhook_not_found)?;
    if found.status == WebhookStatus::Disabled {
        check_stored_endpoint(&found, &api.resolver, &mut errors).await;
    }
    let redelivery = match &enabling {
        Some((_, true)) => Some(HeldRedelivery::count(&api, id).await?),
        _ => None,
    };
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let before = lock_existing(&change, id).await?;
    if before.status != WebhookStatus::Disabled {
        return Err(Problem::conflict(format!("this webhook is {}, not disabled", before.status)));
    }
    change.lock_configuration().await?;
    let types = SubscribableTypes::load(&change, &before.brand_id).await?;
    types.check_patterns(&before.events, EVENTS_POINTER, &mut errors);
    let (note, redeliver_held) = errors.into_result(enabling)?;
    let mut after = before.clone();
    after.status = WebhookStatus::Active;
    after.disabled = None;
    let after = webhooks::update_webhook(&change, &after).await?.ok_or_else(webhook_not_found)?;
    let mut entry = audit_change(&by.actor, "webhook.enable", Some(&before), Some(&after));
    if let Some(serde_json::Value::Object(after)) = &mut entry.after {
        after.insert("note".to_owned(), json!(note));
        after.insert("redeliverHeld".to_owned(), json!(redeliver_held));
    }
    if let Some(redelivery) = redelivery {
        redelivery.create_job(&change, id, &by.actor).await?;
    }
    change.commit(&entry).await?;
    Ok(Json(view_changed(&api, after).await))
}

/// Reads the note and whether to redeliver the held deliveries.
fn parse_enabling(raw: &RawValue, errors: &mut ValidationErrors) -> Option<(String, bool)> {
    let mut fields = Fields::parse(raw, "", errors)?;
    let note = fields.required("note", validators::nonempty_text(MAX_TEXT_CHARS));
    let redeliver_held = fields.optional("redeliverHeld", validators::boolean).unwrap_or(false);
    fields.finish();
    Some((note?, redeliver_held))
}

/// Locks a webhook of any brand that is not deleted.
pub(crate) async fn lock_existing(change: &AuditedTransaction<'_>, id: WebhookId) -> Result<Webhook> {
    let found = webhooks::lock_webhook(change, id).await?;
    found.filter(|webhook| webhook.status != WebhookStatus::Deleted).ok_or_else(webhook_not_found)
}

/// How long after the count an event may still be stored as held: until the transaction has ended, and every router knows of it.
const LATE_EVENTS: TimeDelta = TimeDelta::minutes(10);

/// The redelivery of everything that is held for a webhook.
struct HeldRedelivery {
    selection: Selection,
    count: SelectionCount,
}

impl HeldRedelivery {
    /// Counts the held deliveries. It happens before the transaction, because that locks the configuration of all
    /// brands.
    async fn count(api: &Api, webhook: WebhookId) -> Result<Self> {
        let selection = Selection {
            from: Timestamp::UNIX_EPOCH,
            to: jobs::end_of_events() + LATE_EVENTS,
            status: Some(DeliveryStatus::Held),
            pattern: None,
        };
        let count = jobs::count_selected(&api.store, webhook, &selection).await?;
        Ok(Self { selection, count })
    }

    /// Creates the job. No other one runs, because a webhook that stops receiving stops its jobs.
    async fn create_job(
        self,
        change: &AuditedTransaction<'_>,
        webhook: WebhookId,
        actor: &str,
    ) -> Result<()> {
        jobs::insert_job(change, webhook, Trigger::Held, &self.selection, self.count, actor).await?;
        Ok(())
    }
}
