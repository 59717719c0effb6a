//! "Where is my event?": one event with what became of it at each webhook, the events of a brand, and the search.

mod explain;
mod listing;
pub(crate) mod search;
mod views;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use chrono::Utc;
use domain::event::event_type::TypePattern;
use domain::ids::BrandId;
use domain::time::Timestamp;
use store::api::event_lookup::{self, FoundEvent};
use utoipa::IntoParams;

use crate::api::Api;
use crate::auth::request_cost::filter_surcharge;
use crate::auth::{BrandReader, Support};
use crate::http::page::{Page, PageParams};
use crate::http::path::{BrandPath, read_parameter};
use crate::http::problem::{Problem, Result};
use crate::http::query::Query;
use crate::openapi::words::DispositionWord;
use explain::explain_event_at_webhooks;
use listing::BrandEventListing;
use views::{BrandEventView, LookupView, SupportLookupView};

/// Most events of other brands that support's lookup names.
const MAX_OTHERS: usize = 20;

/// The id or `message_id` of the path. A text that is neither finds nothing.
#[derive(Debug)]
pub(crate) struct IdOrMessageId(String);

impl<S: Send + Sync> FromRequestParts<S> for IdOrMessageId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let name = if parts.uri.path().starts_with("/admin/") { "idOrMessageId" } else { "eventId" };
        read_parameter(parts, state, name).await.map(Self)
    }
}

/// The path parameter of support's lookup.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the extractors read the path")]
pub(crate) struct IdOrMessageIdPath {
    /// Id of the event, a ULID, or the `message_id` of its AMQP message
    #[param(max_length = 128, example = "01F2SFVYVD0H873S2VRT8VQSPM")]
    id_or_message_id: String,
}

/// The path parameter of a brand's lookup.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
#[allow(dead_code, reason = "only the OpenAPI document uses it; the extractors read the path")]
pub(crate) struct LookupPath {
    /// Id of the event, a ULID, or the `message_id` of its AMQP message
    #[param(max_length = 128, example = "01F2SFVYVD0H873S2VRT8VQSPM")]
    event_id: String,
}

/// The filters of the list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; BrandEventListing reads the parameters")]
pub(crate) struct BrandEventParams {
    /// Only events with this key
    #[param(max_length = 128)]
    key: Option<String>,
    /// Only events of this type or group
    r#type: Option<String>,
    /// Only events with this disposition
    disposition: Option<DispositionWord>,
    /// Only events created at this instant or later; default: the start of the retention period
    #[param(format = DateTime)]
    from: Option<String>,
    /// Only events created before this instant
    #[param(format = DateTime)]
    to: Option<String>,
}

/// List the events of a brand
///
/// Lists every event of the brand, newest first, also if no webhook received it. A page may have fewer items
/// than `limit`; the list ends only when `nextCursor` is null.
#[utoipa::path(
    get, path = "/v1/{brandId}/events", tag = "events", operation_id = "listBrandEvents",
    params(BrandPath, BrandEventParams, PageParams),
    responses((status = 200, description = "A page of events.", body = Page<BrandEventView>))
)]
pub(crate) async fn list_brand_events(
    State(api): State<Api>,
    by: BrandReader,
    mut query: Query,
) -> Result<Json<Page<BrandEventView>>> {
    let limit = query.take_limit();
    let listing = BrandEventListing::parse(query, &by.brand, Utc::now() - api.retention)?;
    by.charge.spend(&api, filter_surcharge(listing.has_filter()))?;
    let range = listing.range();
    let page = event_lookup::list_events(&api.store, &by.brand, &range, limit, earliest(&api)).await?;
    let items = page.items.into_iter().map(BrandEventView::from).collect();
    Ok(Json(Page { items, next_cursor: page.more_before.map(|place| listing.cursor(&by.brand, place)) }))
}

/// Where is my event?
///
/// Reads what became of an event, and for each webhook of the brand what became of it there, with the reason. The event
/// is found by its id, or by the `message_id` of its AMQP message if the body had no id. It is not found by the
/// `Idempotency-Key` of the request that published it; that response has the ids. For a `key`, list the events with `key=`.
/// An event that was not enabled or rejected was matched with no webhook, so that `webhooks` is empty.
#[utoipa::path(
    get, path = "/v1/{brandId}/events/{eventId}", tag = "events", operation_id = "lookUpEvent",
    params(BrandPath, LookupPath),
    responses((status = 200, description = "The event and what became of it.", body = LookupView))
)]
pub(crate) async fn look_up_event(
    State(api): State<Api>,
    by: BrandReader,
    IdOrMessageId(text): IdOrMessageId,
) -> Result<Json<LookupView>> {
    let found = event_lookup::find_events(&api.store, Some(&by.brand), &text, earliest(&api)).await?;
    for event in &found {
        // An event may expire after it was found.
        if let Some(view) = load_lookup(&api, event, by.is_support).await? {
            return Ok(Json(view));
        }
    }
    Err(no_such_event())
}

/// Where is an event of any brand?
///
/// Reads the same as the brand's route, of the newest event with this id or `message_id`. `others` names the events of
/// other brands that have it, too.
#[utoipa::path(
    get, path = "/admin/v1/events/{idOrMessageId}", tag = "support", operation_id = "lookUpAnyEvent",
    params(IdOrMessageIdPath),
    responses((status = 200, description = "The event and what became of it.", body = SupportLookupView))
)]
pub(crate) async fn look_up_any_event(
    State(api): State<Api>,
    _: Support,
    IdOrMessageId(text): IdOrMessageId,
) -> Result<Json<SupportLookupView>> {
    let found = event_lookup::find_events(&api.store, None, &text, earliest(&api)).await?;
    for (at, event) in found.iter().enumerate() {
        // An event may expire after it was found.
        if let Some(view) = load_lookup(&api, event, true).await? {
            let others = found[at + 1..].iter().take(MAX_OTHERS);
            return Ok(Json(SupportLookupView::new(&event.brand_id, view, others)));
        }
    }
    Err(no_such_event())
}

/// Returns the time before which events have expired, although their identities may still be stored.
fn earliest(api: &Api) -> Timestamp {
    store::clock::now() - api.retention
}

/// Loads an event with its webhooks; `None` if it has expired.
async fn load_lookup(api: &Api, found: &FoundEvent, with_deleted: bool) -> Result<Option<LookupView>> {
    let now = store::clock::now();
    let Some(details) = event_lookup::load_event(&api.store, found, now - api.retention).await? else {
        return Ok(None);
    };
    let webhooks = explain_event_at_webhooks(&api.store, &details, with_deleted, now).await?;
    LookupView::new(details, webhooks).map(Some)
}

fn no_such_event() -> Problem {
    Problem::not_found(
        "there is no event with this id, and none with this message_id and no id of its own; events expire after the \
         retention time",
    )
}

/// The name of a brand's list in its cursors.
fn list_name(brand: &BrandId) -> String {
    format!("brand-events/{brand}")
}

/// Whether one of the patterns covers the type.
fn subscribes(patterns: &[TypePattern], event_type: &str) -> bool {
    patterns.iter().any(|pattern| pattern.covers(event_type))
}
