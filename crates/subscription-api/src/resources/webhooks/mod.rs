//! The webhooks of a brand: create, list, read, change and delete.

pub(crate) mod health;
pub(crate) mod health_state;
pub(crate) mod listing;
pub(crate) mod lookup;
pub(crate) mod patch;
pub(crate) mod secret;
pub(crate) mod stats;
pub(crate) mod support;
pub(crate) mod test_event;
pub(crate) mod time_buckets;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use domain::ids::WebhookId;
use domain::limits::MAX_WEBHOOKS_PER_BRAND;
use domain::webhook::WebhookStatus;
use domain::webhook::signature::Keys;
use domain::webhook::signing_key::SigningKey;
use store::AuditedTransaction;
use store::api::webhooks::{self, Webhook};

use crate::api::Api;
use crate::auth::request_cost::filter_surcharge;
use crate::auth::{BrandReader, BrandWriter};
use crate::http::body::{JsonBody, PatchBody};
use crate::http::page::{Page, PageParams};
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath, webhook_not_found};
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::views::{CreatedWebhook, WebhookView};
use crate::resources::webhooks::health_state::{view_changed, view_webhook};
use crate::resources::webhooks::listing::{WebhookListParams, WebhookListing};
use crate::resources::webhooks::lookup::{audit_change, find_webhook, lock_webhook};
use crate::resources::webhooks::patch::{EVENTS_POINTER, WebhookPatch, check_stored_endpoint};
use crate::validation::errors::ValidationErrors;
use crate::validation::subscribable_types::SubscribableTypes;

/// Create a webhook
///
/// The response contains the secret that signs the requests. Events that are published from now on are delivered.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks", tag = "webhooks", operation_id = "createWebhook",
    params(BrandPath), request_body = request_schemas::NewWebhook,
    responses(
        (status = 201, description = "The webhook was created. The response contains its signing secret.",
         body = CreatedWebhook, headers(("Location" = String, description = "Path of the webhook"))),
        (status = 409, description = "The brand has reached its maximum number of webhooks."),
    )
)]
pub(crate) async fn create_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let patch = WebhookPatch::parse_new(&body.0, api.resolver.allowed_networks(), &mut errors);
    if let Some(patch) = &patch {
        patch.check_endpoint(&by.brand, &api.resolver, &mut errors).await;
    }
    let keys = Keys::generate(patch.as_ref().is_some_and(WebhookPatch::requests_v1a));
    let created = insert_webhook(&api, &by, patch, errors, &keys).await?;
    if created.status == WebhookStatus::Active {
        api.declare_queue(created.id).await;
    }
    let location = format!("/v1/{}/webhooks/{}", created.brand_id, created.id);
    let view = CreatedWebhook::new(view_changed(&api, created).await, &keys);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)))
}

async fn insert_webhook(
    api: &Api,
    by: &BrandWriter,
    patch: Option<WebhookPatch>,
    mut errors: ValidationErrors,
    keys: &Keys,
) -> Result<Webhook> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    // With errors the response is a 422 in any case, so the lock would only delay other writers.
    if errors.is_empty() {
        change.lock_configuration().await?;
    }
    if let Some(events) = patch.as_ref().and_then(WebhookPatch::events) {
        let types = SubscribableTypes::load(&change, &by.brand).await?;
        types.check_patterns(events, EVENTS_POINTER, &mut errors);
    }
    let (new, headers) = errors.into_result(patch)?.into_webhook(&by.brand)?;
    if webhooks::count_webhooks(&change, &by.brand).await? >= MAX_WEBHOOKS_PER_BRAND {
        return Err(Problem::new(
            ProblemKind::LimitReached,
            format!("a brand may have {MAX_WEBHOOKS_PER_BRAND} webhooks; delete one first"),
        ));
    }
    let created = webhooks::insert_webhook(&change, &api.keyring, &new, &headers, keys).await?;
    let created = created.ok_or_else(Problem::internal_error)?;
    change.commit(&audit_change(&by.actor, "webhook.create", None, Some(&created))).await?;
    Ok(created)
}

/// List the webhooks of a brand
///
/// Oldest first, or with `order=attention` the worst first: failing, disabled, resting, healthy and idle, paused. A page that
/// had to read many webhooks may be short and still have a `nextCursor`.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks", tag = "webhooks", operation_id = "listWebhooks",
    params(BrandPath, WebhookListParams, PageParams),
    responses((status = 200, description = "A page of webhooks.", body = Page<WebhookView>))
)]
pub(crate) async fn list_webhooks(
    State(api): State<Api>,
    by: BrandReader,
    mut query: Query,
) -> Result<Json<Page<WebhookView>>> {
    let limit = query.take_limit();
    let list = format!("webhooks/{}", by.brand);
    let listing = WebhookListing::parse(&mut query, list, Some(by.brand));
    query.finish()?;
    by.charge.spend(&api, filter_surcharge(listing.reads_health()))?;
    Ok(Json(listing.read_page(&api, limit).await?))
}

/// Read a webhook
///
/// Returns the settings and the status of the webhook. The values of custom headers are hidden.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}", tag = "webhooks", operation_id = "readWebhook",
    params(BrandPath, WebhookPath),
    responses((status = 200, description = "The webhook, without its secret.", body = WebhookView))
)]
pub(crate) async fn read_webhook(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
) -> Result<Json<WebhookView>> {
    let found = find_webhook(&api.store, &by.brand, id).await?;
    Ok(Json(view_webhook(&api, found).await?))
}

/// Change a webhook
///
/// The body is a JSON merge patch: absent fields stay, null clears optional fields. Custom headers are merged by name, and
/// a header with the value `(hidden)` keeps the value that it has.
#[utoipa::path(
    patch, path = "/v1/{brandId}/webhooks/{webhookId}", tag = "webhooks", operation_id = "changeWebhook",
    params(BrandPath, WebhookPath),
    request_body(content(
        (request_schemas::WebhookPatch = "application/merge-patch+json"),
        (request_schemas::WebhookPatch = "application/json"),
    )),
    responses(
        (status = 200, description = "The changed webhook.", body = WebhookView),
        (status = 409, description = "`enabled` cannot be set to true, because support or the platform disabled the webhook."),
    )
)]
pub(crate) async fn change_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    body: PatchBody,
) -> Result<Json<WebhookView>> {
    let found = find_webhook(&api.store, &by.brand, id).await?;
    let mut errors = ValidationErrors::default();
    let patch = WebhookPatch::parse_patch(&body.0, api.resolver.allowed_networks(), &mut errors);
    // Names are resolved before the transaction begins, because the transaction must be short.
    if let Some(patch) = &patch {
        patch.check_endpoint(&by.brand, &api.resolver, &mut errors).await;
        if patch.resumes(&found) && !patch.has_endpoint() {
            check_stored_endpoint(&found, &api.resolver, &mut errors).await;
        }
    }
    let changed = update_webhook(&api, &by, id, patch, errors).await?;
    Ok(Json(view_changed(&api, changed).await))
}

async fn update_webhook(
    api: &Api,
    by: &BrandWriter,
    id: WebhookId,
    patch: Option<WebhookPatch>,
    mut errors: ValidationErrors,
) -> Result<Webhook> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let before = lock_webhook(&change, &by.brand, id).await?;
    // With errors the response is a 422 in any case, so the lock would only delay other writers.
    if errors.is_empty() {
        change.lock_configuration().await?;
    }
    if let Some(patch) = &patch {
        let stored = patch.resumes(&before).then_some(before.events.as_slice());
        if let Some(events) = patch.events().or(stored) {
            let types = SubscribableTypes::load(&change, &by.brand).await?;
            types.check_patterns(events, EVENTS_POINTER, &mut errors);
        }
    }
    let mut after = before.clone();
    let patch = errors.into_result(patch)?;
    let headers = match patch.merges_headers() {
        true => webhooks::find_headers(&change, &api.keyring, &by.brand, id).await?,
        false => None,
    };
    let new_headers = patch.apply(&mut after, &headers.unwrap_or_default())?;
    if after == before && new_headers.is_none() {
        return Ok(before);
    }
    if let Some(headers) = &new_headers {
        webhooks::set_headers(&change, &api.keyring, &after, headers).await?;
    }
    if after.asymmetric != before.asymmetric {
        let key = after.asymmetric.then(SigningKey::generate);
        webhooks::set_signing_key(&change, &api.keyring, &after, key.as_ref()).await?;
    }
    let after = webhooks::update_webhook(&change, &after).await?.ok_or_else(webhook_not_found)?;
    change.commit(&audit_change(&by.actor, "webhook.change", Some(&before), Some(&after))).await?;
    Ok(after)
}

/// Delete a webhook
///
/// The webhook receives no more events, and its queue is deleted. Support can read its events until they expire.
#[utoipa::path(
    delete, path = "/v1/{brandId}/webhooks/{webhookId}", tag = "webhooks", operation_id = "deleteWebhook",
    params(BrandPath, WebhookPath),
    responses((status = 204, description = "The webhook was deleted."))
)]
pub(crate) async fn delete_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let before = lock_webhook(&change, &by.brand, id).await?;
    webhooks::delete_webhook(&change, id).await?;
    change.commit(&audit_change(&by.actor, "webhook.delete", Some(&before), None)).await?;
    Ok(StatusCode::NO_CONTENT)
}
