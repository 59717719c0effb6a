//! Webhooks as a brand sees them, and their audit entries: shared by all handlers of a single webhook.

use domain::ids::{BrandId, WebhookId};
use domain::webhook::WebhookStatus;
use serde_json::Value;
use store::api::audit::Entry;
use store::api::webhooks::{self, Webhook};
use store::{AuditedTransaction, Executor};

use crate::auth::BrandWriter;
use crate::http::path::webhook_not_found;
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;
use crate::resources::views::audit_webhook;

/// Finds a webhook of the brand that is not deleted.
///
/// # Errors
/// 404 when there is none.
pub(crate) async fn find_webhook(db: &impl Executor, brand: &BrandId, id: WebhookId) -> Result<Webhook> {
    only_visible(webhooks::find_webhook(db, id).await?, brand)
}

/// Finds a webhook of the brand that is not deleted, and locks it until the transaction ends.
///
/// # Errors
/// 404 when there is none.
pub(crate) async fn lock_webhook(
    change: &AuditedTransaction<'_>,
    brand: &BrandId,
    id: WebhookId,
) -> Result<Webhook> {
    only_visible(webhooks::lock_webhook(change, id).await?, brand)
}

fn only_visible(found: Option<Webhook>, brand: &BrandId) -> Result<Webhook> {
    let visible = |webhook: &Webhook| webhook.brand_id == *brand && webhook.status != WebhookStatus::Deleted;
    found.filter(visible).ok_or_else(webhook_not_found)
}

/// Checks that deliveries to the webhook can be requested.
///
/// # Errors
/// 409 when the webhook is not active.
pub(crate) fn check_active(webhook: &Webhook) -> Result<()> {
    match webhook.status {
        WebhookStatus::Active => Ok(()),
        status => Err(Problem::new(
            ProblemKind::WebhookNotActive,
            format!("this webhook is {status}; it must be active for this"),
        )),
    }
}

/// The audit entry of a change to a webhook.
pub(crate) fn audit_change(
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

/// The audit entry of an action that does not change the webhook itself, such as a redelivery.
pub(crate) fn audit_action(
    by: &BrandWriter,
    action: &'static str,
    webhook: WebhookId,
    details: Value,
) -> Entry {
    Entry {
        actor: by.actor.clone(),
        action,
        brand_id: Some(by.brand.clone()),
        subject: webhook.to_string(),
        before: None,
        after: Some(details),
    }
}
