//! A brand's webhooks.

pub mod health;
pub mod patch;
pub mod stats;
pub mod support;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use domain::ids::{BrandId, WebhookId};
use domain::limits::{DEFAULT_OVERLAP_SECONDS, ROTATION_OVERLAP_SECONDS, WEBHOOKS_PER_BRAND};
use domain::signature::Keys;
use domain::signing_key::SigningKey;
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use serde_json::json;
use store::audit::Entry;
use store::place::Place;
use store::webhooks::{self, Webhook};
use store::{Change, Db};
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::{BrandReader, BrandWriter};
use crate::http::body::{JsonBody, OptionalJsonBody, PatchBody};
use crate::http::page::{self, CursorPosition, Page, PageParams};
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath, webhook_not_found};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::request_schemas;
use crate::resources::views::{CreatedWebhook, WebhookView, audit_webhook, public_key, serialize_optional};
use crate::resources::webhooks::patch::{EVENTS_POINTER, WebhookPatch, check_stored_endpoint};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::subscribable_types::SubscribableTypes;
use crate::validation::validators;

/// Make a webhook
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks", tag = "webhooks", operation_id = "createWebhook",
    params(BrandPath), request_body = request_schemas::NewWebhook,
    responses(
        (status = 201, description = "It is made; here is its secret", body = CreatedWebhook,
         headers(("Location" = String, description = "The path of the webhook"))),
        (status = 409, description = "The brand has as many webhooks as it may"),
    )
)]
pub async fn create_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    body: JsonBody,
) -> Result<impl IntoResponse> {
    let mut errors = ValidationErrors::default();
    let patch = WebhookPatch::parse_new(&body.0, api.resolver.allowed_networks(), &mut errors);
    if let Some(patch) = &patch {
        patch.check_endpoint(&api.resolver, &mut errors).await;
    }
    let keys = Keys::draw(patch.as_ref().is_some_and(WebhookPatch::requests_v1a));
    let made = insert_webhook(&api, &by, patch, errors, &keys).await?;
    if made.status == WebhookStatus::Active {
        api.declare_queue(made.id).await;
    }
    let location = format!("/v1/{}/webhooks/{}", made.brand_id, made.id);
    let view = CreatedWebhook::new(made, &keys);
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
    let change = Change::begin(&mut client).await?;
    if errors.is_empty() {
        change.hold_configuration().await?;
    }
    if let Some(events) = patch.as_ref().and_then(WebhookPatch::events) {
        SubscribableTypes::load(&change, &by.brand).await?.check_patterns(
            events,
            EVENTS_POINTER,
            &mut errors,
        );
    }
    let new = errors.into_result(patch)?.into_webhook(&by.brand)?;
    if webhooks::count(&change, &by.brand).await? >= WEBHOOKS_PER_BRAND {
        return Err(Problem::conflict(format!(
            "a brand may have {WEBHOOKS_PER_BRAND} webhooks; delete one first"
        )));
    }
    let made =
        webhooks::insert(&change, &api.keyring, &new, keys).await?.ok_or_else(Problem::internal_error)?;
    change.commit(&audit_entry(&by.actor, "webhook.create", None, Some(&made))).await?;
    Ok(made)
}

/// List the brand's webhooks
///
/// Oldest first.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks", tag = "webhooks", operation_id = "listWebhooks",
    params(BrandPath, PageParams),
    responses((status = 200, description = "A page of them", body = Page<WebhookView>))
)]
pub async fn list_webhooks(
    State(api): State<Api>,
    by: BrandReader,
    mut query: Query,
) -> Result<Json<Page<WebhookView>>> {
    let list = format!("webhooks/{}", by.brand);
    let limit = query.take_limit();
    let after = page::take_position(&mut query, &list).unwrap_or(Place::FIRST);
    query.finish()?;
    let rows = webhooks::page_of_brand(&api.store, &by.brand, None, after, limit + 1).await?;
    Ok(Json(Page::from_rows(&list, rows, limit, position, WebhookView::from)))
}

/// Where a webhook stands in lists.
pub(crate) fn position(webhook: &Webhook) -> CursorPosition {
    Place { at: webhook.created, id: webhook.id.0 }.into()
}

/// Read a webhook
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}", tag = "webhooks", operation_id = "readWebhook",
    params(BrandPath, WebhookPath),
    responses((status = 200, description = "The webhook, without its secret", body = WebhookView))
)]
pub async fn read_webhook(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(id): WebhookInPath,
) -> Result<Json<WebhookView>> {
    Ok(Json(find_webhook(&api.store, &by.brand, id).await?.into()))
}

/// Change a webhook
///
/// A JSON merge patch: what is absent stays, null clears what may be empty.
#[utoipa::path(
    patch, path = "/v1/{brandId}/webhooks/{webhookId}", tag = "webhooks", operation_id = "changeWebhook",
    params(BrandPath, WebhookPath),
    request_body(content(
        (request_schemas::WebhookPatch = "application/merge-patch+json"),
        (request_schemas::WebhookPatch = "application/json"),
    )),
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView),
        (status = 409, description = "`enabled: true` for a webhook that support or the platform disabled"),
    )
)]
pub async fn change_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    body: PatchBody,
) -> Result<Json<WebhookView>> {
    let found = find_webhook(&api.store, &by.brand, id).await?;
    let mut errors = ValidationErrors::default();
    let patch = WebhookPatch::parse_patch(&body.0, api.resolver.allowed_networks(), &mut errors);
    // Names are looked up before the transaction, which must be short.
    if let Some(patch) = &patch {
        patch.check_endpoint(&api.resolver, &mut errors).await;
        if patch.resumes(&found) && !patch.has_endpoint() {
            check_stored_endpoint(&found, &api.resolver, &mut errors).await;
        }
    }
    Ok(Json(update_webhook(&api, &by, id, patch, errors).await?.into()))
}

async fn update_webhook(
    api: &Api,
    by: &BrandWriter,
    id: WebhookId,
    patch: Option<WebhookPatch>,
    mut errors: ValidationErrors,
) -> Result<Webhook> {
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let before = lock_webhook(&change, &by.brand, id).await?;
    if errors.is_empty() {
        change.hold_configuration().await?;
    }
    if let Some(patch) = &patch {
        let stored = patch.resumes(&before).then_some(before.events.as_slice());
        if let Some(events) = patch.events().or(stored) {
            SubscribableTypes::load(&change, &by.brand).await?.check_patterns(
                events,
                EVENTS_POINTER,
                &mut errors,
            );
        }
    }
    let mut after = before.clone();
    errors.into_result(patch)?.apply(&mut after)?;
    if after == before {
        return Ok(before);
    }
    if after.asymmetric != before.asymmetric {
        let key = after.asymmetric.then(SigningKey::draw);
        webhooks::set_signing_key(&change, &api.keyring, &after, key.as_ref()).await?;
    }
    let after = webhooks::update(&change, &after).await?.ok_or_else(webhook_not_found)?;
    change.commit(&audit_entry(&by.actor, "webhook.change", Some(&before), Some(&after))).await?;
    Ok(after)
}

/// Delete a webhook
///
/// It receives nothing more and its queue goes. Support can read its events until they expire.
#[utoipa::path(
    delete, path = "/v1/{brandId}/webhooks/{webhookId}", tag = "webhooks", operation_id = "deleteWebhook",
    params(BrandPath, WebhookPath),
    responses((status = 204, description = "It is deleted"))
)]
pub async fn delete_webhook(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let before = lock_webhook(&change, &by.brand, id).await?;
    webhooks::delete(&change, id).await?;
    change.commit(&audit_entry(&by.actor, "webhook.delete", Some(&before), None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The secret that signs a webhook's requests.
// No Debug: it holds the secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Secret)]
pub struct SecretView {
    /// `whsec_` and base64
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// `whpk_` and base64: verifies the signatures `v1a`; only where the webhook asks for them
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    public_key: Option<String>,
}

/// Read a webhook's secret
///
/// It takes a token with the role `write`. Of the key that signs `v1a` only the public half is shown.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/secret", tag = "webhooks", operation_id = "readSecret",
    params(BrandPath, WebhookPath),
    responses((status = 200, description = "The secret that signs its requests", body = SecretView))
)]
pub async fn read_secret(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
) -> Result<Json<SecretView>> {
    let keys =
        webhooks::keys(&api.store, &api.keyring, &by.brand, id).await?.ok_or_else(webhook_not_found)?;
    Ok(Json(SecretView { secret: keys.secret.reveal(), public_key: public_key(&keys) }))
}

/// A webhook's new secret.
// No Debug: it holds the secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotatedSecret {
    /// `whsec_` and base64
    secret: String,
    /// `whpk_` and base64: verifies the signatures `v1a`; only where the webhook asks for them
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    public_key: Option<String>,
    /// Until when the secret before, and the key, signs too; null when it does not
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    previous_expires: Option<DateTime>,
}

/// Rotate a webhook's secret
///
/// From now on requests carry two signatures, one with each secret, until the overlap ends: so the
/// endpoint can be changed at any time in between.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/secret/rotate", tag = "webhooks",
    operation_id = "rotateSecret",
    params(BrandPath, WebhookPath), request_body = request_schemas::Rotation,
    responses((status = 200, description = "The new secret", body = RotatedSecret))
)]
pub async fn rotate_secret(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    body: OptionalJsonBody,
) -> Result<Json<RotatedSecret>> {
    let mut errors = ValidationErrors::default();
    let overlap = Fields::parse(&body.0, "", &mut errors).map(|mut fields| {
        let overlap = fields.optional("overlapSeconds", validators::integer(0..=ROTATION_OVERLAP_SECONDS));
        fields.finish();
        overlap.unwrap_or(DEFAULT_OVERLAP_SECONDS)
    });
    let mut client = api.store.client().await?;
    let change = Change::begin(&mut client).await?;
    let webhook = lock_webhook(&change, &by.brand, id).await?;
    let overlap = errors.into_result(overlap)?;
    let keys = Keys::draw(webhook.asymmetric);
    let rotated = webhooks::rotate(&change, &api.keyring, &webhook, &keys, overlap).await?;
    let previous_expires = rotated.ok_or_else(webhook_not_found)?;
    let mut entry = audit_entry(&by.actor, "webhook.rotate_secret", Some(&webhook), None);
    (entry.before, entry.after) = (None, Some(json!({"overlapSeconds": overlap})));
    change.commit(&entry).await?;
    Ok(Json(RotatedSecret { secret: keys.secret.reveal(), public_key: public_key(&keys), previous_expires }))
}

/// A webhook of the brand that is not deleted.
///
/// # Errors
/// 404 when there is none.
pub(crate) async fn find_webhook(db: &impl Db, brand: &BrandId, id: WebhookId) -> Result<Webhook> {
    only_visible(webhooks::find(db, id).await?, brand)
}

/// [`find`], locked until the change ends.
///
/// # Errors
/// 404 when there is none.
pub(crate) async fn lock_webhook(change: &Change<'_>, brand: &BrandId, id: WebhookId) -> Result<Webhook> {
    only_visible(webhooks::lock(change, id).await?, brand)
}

fn only_visible(found: Option<Webhook>, brand: &BrandId) -> Result<Webhook> {
    let visible = |webhook: &Webhook| webhook.brand_id == *brand && webhook.status != WebhookStatus::Deleted;
    found.filter(visible).ok_or_else(webhook_not_found)
}

/// The audit's entry about a webhook.
pub(crate) fn audit_entry(
    actor: &str,
    action: &'static str,
    before: Option<&Webhook>,
    after: Option<&Webhook>,
) -> Entry {
    let webhook = before.or(after);
    Entry {
        actor: actor.to_owned(),
        action,
        brand_id: webhook.map(|webhook| webhook.brand_id.clone()),
        subject: webhook.map(|webhook| webhook.id.to_string()).unwrap_or_default(),
        before: before.map(audit_webhook),
        after: after.map(audit_webhook),
    }
}
