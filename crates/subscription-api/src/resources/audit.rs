//! Who changed what and when.

use axum::Json;
use axum::extract::State;
// By this name utoipa knows it.
use domain::time::Timestamp as DateTime;
use domain::time::rfc3339;
use serde::Serialize;
use serde_json::Value;
use store::audit::{self, Recorded};
use store::place::Place;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Api;
use crate::auth::Support;
use crate::http::page::{self, CursorPosition, Page, PageParams};
use crate::http::problem::Result;
use crate::http::query::Query;

/// The list's name in its cursors.
const LIST: &str = "audit";

/// One write, brand's or support's.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
pub struct EntryView {
    id: Uuid,
    #[serde(with = "rfc3339")]
    at: DateTime,
    /// `support`, or `token:` with the token's id and name
    #[schema(example = "token:9e21c694-ee9e-48a7-b016-522fd8ef08c1 ci")]
    actor: String,
    /// What was done
    #[schema(example = "webhook.create")]
    action: String,
    /// The brand concerned
    #[schema(required)]
    brand_id: Option<String>,
    /// What it was done to: the id of a webhook, a token or a brand, or an event type
    subject: String,
    /// How it was; null for what was made. Secrets and header values are never in it
    #[schema(required)]
    before: Option<Value>,
    /// How it was afterwards; null for what was deleted
    #[schema(required)]
    after: Option<Value>,
}

/// Read the audit
///
/// Newest first.
#[utoipa::path(
    get, path = "/admin/v1/audit", tag = "support", operation_id = "listAudit",
    params(PageParams),
    responses((status = 200, description = "A page of it", body = Page<EntryView>))
)]
pub async fn list_audit(
    State(api): State<Api>,
    _: Support,
    mut query: Query,
) -> Result<Json<Page<EntryView>>> {
    let limit = query.take_limit();
    let before = page::take_position(&mut query, LIST).unwrap_or_else(Place::last);
    query.finish()?;
    let rows = audit::page(&api.store, before, limit + 1).await?;
    let position = |entry: &Recorded| CursorPosition::from(Place { at: entry.at, id: entry.id });
    Ok(Json(Page::from_rows(LIST, rows, limit, position, entry_view)))
}

fn entry_view(entry: Recorded) -> EntryView {
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
