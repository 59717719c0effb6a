//! The signing secret of a webhook: read and rotate. Only here the values of custom headers are returned, too.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::limits::{DEFAULT_ROTATION_OVERLAP_SECONDS, MAX_ROTATION_OVERLAP_SECONDS};
use domain::webhook::CustomHeaders;
use domain::webhook::signature::Keys;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use serde::Serialize;
use serde_json::json;
use store::AuditedTransaction;
use store::api::webhooks;
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::BrandWriter;
use crate::http::body::OptionalJsonBody;
use crate::http::path::{BrandPath, WebhookInPath, WebhookPath, webhook_not_found};
use crate::http::problem::Result;
use crate::openapi::{request_schemas, samples};
use crate::resources::views::{public_key, serialize_optional};
use crate::resources::webhooks::lookup::{audit_action, audit_change, lock_webhook};
use crate::validation::errors::ValidationErrors;
use crate::validation::fields::Fields;
use crate::validation::validators;

/// The secret that signs the requests of a webhook, and the values of its custom headers.
// No Debug: it holds the secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Secret, example = samples::secret)]
pub(crate) struct SecretView {
    /// Signing secret: `whsec_` and base64
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// Public key that verifies `v1a` signatures: `whpk_` and base64. Present only if `signatures` includes `v1a`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    public_key: Option<String>,
    /// Custom headers of every request, with their values
    headers: BTreeMap<String, String>,
    /// Until when the previous secret signs as well; null if it does not
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    previous_expires: Option<DateTime>,
    /// When the secret was last rotated; null if it was not
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    rotated: Option<DateTime>,
}

/// Read the secret of a webhook
///
/// Requires a token with the role `write`. Of the key that signs `v1a`, only the public half is returned. The audit records
/// who read it.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/secret", tag = "webhooks", operation_id = "readSecret",
    params(BrandPath, WebhookPath),
    responses((status = 200, description = "The secret that signs the requests, and the custom headers.", body = SecretView))
)]
pub(crate) async fn read_secret(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
) -> Result<Json<SecretView>> {
    let mut client = api.store.client().await?;
    let reading = AuditedTransaction::begin(&mut client).await?;
    let keys = webhooks::find_keys(&reading, &api.keyring, &by.brand, id).await?;
    let keys = keys.ok_or_else(webhook_not_found)?;
    let headers = webhooks::find_headers(&reading, &api.keyring, &by.brand, id).await?;
    let CustomHeaders(headers) = headers.ok_or_else(webhook_not_found)?;
    let rotation = webhooks::find_rotation(&reading, &by.brand, id).await?.ok_or_else(webhook_not_found)?;
    // The secret is returned only once the audit has the entry.
    let names: Vec<&String> = headers.keys().collect();
    let details = json!({"secret": true, "headers": names});
    reading.commit(&audit_action(&by, "webhook.read_secret", id, details)).await?;
    by.charge.record_secret_read(id);
    Ok(Json(SecretView {
        secret: keys.secret.reveal(),
        public_key: public_key(&keys),
        headers,
        previous_expires: rotation.previous_expires,
        rotated: rotation.rotated,
    }))
}

/// The new secret of a webhook.
// No Debug: it holds the secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = samples::rotated_secret)]
pub(crate) struct RotatedSecret {
    /// New signing secret: `whsec_` and base64
    secret: String,
    /// New public key that verifies `v1a` signatures: `whpk_` and base64. Present only if `signatures` includes `v1a`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    public_key: Option<String>,
    /// When the previous secret and key stop signing; null if they stopped at once
    #[serde(serialize_with = "serialize_optional")]
    #[schema(required)]
    previous_expires: Option<DateTime>,
}

/// Rotate the secret of a webhook
///
/// Until the overlap ends, every request carries two signatures: one with the new secret and one with the previous
/// secret. The receiver can therefore switch to the new secret at any time during the overlap.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/secret/rotate", tag = "webhooks",
    operation_id = "rotateSecret",
    params(BrandPath, WebhookPath), request_body = request_schemas::Rotation,
    responses((status = 200, description = "The new secret.", body = RotatedSecret))
)]
pub(crate) async fn rotate_secret(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
    body: OptionalJsonBody,
) -> Result<Json<RotatedSecret>> {
    let mut errors = ValidationErrors::default();
    let overlap = Fields::parse(&body.0, "", &mut errors).map(|mut fields| {
        let overlap =
            fields.optional("overlapSeconds", validators::integer(0..=MAX_ROTATION_OVERLAP_SECONDS));
        fields.finish();
        overlap.unwrap_or(DEFAULT_ROTATION_OVERLAP_SECONDS)
    });
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    let webhook = lock_webhook(&change, &by.brand, id).await?;
    let overlap = errors.into_result(overlap)?;
    let keys = Keys::generate(webhook.asymmetric);
    let rotated = webhooks::rotate_keys(&change, &api.keyring, &webhook, &keys, overlap).await?;
    let previous_expires = rotated.ok_or_else(webhook_not_found)?;
    let mut entry = audit_change(&by.actor, "webhook.rotate_secret", Some(&webhook), None);
    entry.before = None;
    entry.after = Some(json!({"overlapSeconds": overlap}));
    change.commit(&entry).await?;
    Ok(Json(RotatedSecret { secret: keys.secret.reveal(), public_key: public_key(&keys), previous_expires }))
}

/// End the overlap of a rotation
///
/// The previous secret and key stop signing now. Does nothing if they no longer sign.
#[utoipa::path(
    post, path = "/v1/{brandId}/webhooks/{webhookId}/secret/end-previous", tag = "webhooks",
    operation_id = "endPreviousSecret",
    params(BrandPath, WebhookPath),
    responses((status = 204, description = "Requests are signed with the current secret only."))
)]
pub(crate) async fn end_previous_secret(
    State(api): State<Api>,
    by: BrandWriter,
    WebhookInPath(id): WebhookInPath,
) -> Result<StatusCode> {
    let mut client = api.store.client().await?;
    let change = AuditedTransaction::begin(&mut client).await?;
    lock_webhook(&change, &by.brand, id).await?;
    if webhooks::end_previous_keys(&change, id).await? {
        change.commit(&audit_action(&by, "webhook.end_previous_secret", id, json!({}))).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
