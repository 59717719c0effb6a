//! The audit: who changed what and when.

use axum::Json;
use axum::extract::State;
// utoipa recognizes the type by this name.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use serde::Serialize;
use serde_json::Value;
use store::api::audit::{self, RecordedEntry};
use store::keyset::KeysetPosition;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::Support;
use crate::http::page::{self, CursorPosition, Page, PageParams};
use crate::http::problem::Result;
use crate::http::query::Query;

/// Name of the list in its cursors.
const LIST: &str = "audit";

/// A recorded change.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub(crate) struct EntryView {
    /// Id of the entry
    id: Uuid,
    /// When the change was made
    #[serde(with = "rfc3339")]
    at: DateTime,
    /// `support`, or `token:` with the id and name of the token
    #[schema(example = "token:9e21c694-ee9e-48a7-b016-522fd8ef08c1 ci")]
    actor: String,
    /// Name of the action
    #[schema(example = "webhook.create")]
    action: String,
    /// Brand that the change concerns; null if none
    #[schema(required)]
    brand_id: Option<String>,
    /// Subject of the change: the id of a webhook, token or brand, or an event type
    subject: String,
    /// State before the change; null if it was created. Never contains secrets or header values
    #[schema(required)]
    before: Option<Value>,
    /// State after the change; null if it was deleted
    #[schema(required)]
    after: Option<Value>,
}

/// Read the audit
///
/// Newest first.
#[utoipa::path(
    get, path = "/admin/v1/audit", tag = "support", operation_id = "listAudit",
    params(PageParams),
    responses((status = 200, description = "A page of audit entries.", body = Page<EntryView>))
)]
pub(crate) async fn list_audit(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<EntryView>>> {
    let limit = query.take_limit();
    let before = page::take_position(&mut query, LIST).unwrap_or_else(KeysetPosition::last);
    query.finish()?;
    let rows = audit::list_entries(&api.store, before, limit + 1).await?;
    let position =
        |entry: &RecordedEntry| CursorPosition::from(KeysetPosition { at: entry.at, id: entry.id });
    Ok(Json(Page::from_rows(LIST, rows, limit, position, entry_view)))
}

fn entry_view(entry: RecordedEntry) -> EntryView {
    EntryView {
        id: entry.id,
        at: entry.at,
        actor: entry.actor,
        action: entry.action,
        brand_id: entry.brand_id.map(|brand| brand.to_string()),
        subject: entry.subject,
        before: entry.before,
        after: entry.after,
    }
}
