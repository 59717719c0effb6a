//! Search: brands, webhooks, event types and events by an id, a name, a host or a key.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use chrono::Utc;
use domain::ids::BrandId;
use domain::webhook::WebhookStatus;
use serde::Serialize;
use store::api::brands;
use store::api::event_lookup::{self, EventRange, EventRecord};
use store::api::search::{self, FoundBrand, FoundType, FoundWebhook};
use store::keyset::KeysetPosition;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::views::AnyBrandEventView;
use crate::api::Api;
use crate::auth::{BrandReader, Support};
use crate::http::path::BrandPath;
use crate::http::problem::Result;
use crate::http::query::Query;
use crate::openapi::words::WebhookStatusWord;

/// Most results of each kind.
const MAX_RESULTS: i64 = 10;
/// Longest text, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// The text to search for.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "only the OpenAPI document uses it; Query reads the parameters")]
pub(crate) struct SearchParams {
    /// An id, a `message_id`, a key, or a part of a name, an endpoint or a description
    #[param(min_length = 1, max_length = 200, example = "order-4711")]
    q: String,
}

/// The results of a search, at most 10 of each kind.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SearchResults)]
pub(crate) struct SearchView {
    /// Brands whose id or name contains the text
    brands: Vec<BrandHit>,
    /// Webhooks with this id, or whose endpoint or description contains the text
    webhooks: Vec<WebhookHit>,
    /// Event types whose name or description contains the text
    event_types: Vec<TypeHit>,
    /// Events with this id, `message_id` or key, newest first
    events: Vec<AnyBrandEventView>,
}

/// A brand that was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BrandHit {
    /// Id of the brand
    brand_id: String,
    /// Display name
    name: String,
}

/// A webhook that was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookHit {
    /// Id of the webhook
    id: Uuid,
    /// Id of the brand
    brand_id: String,
    /// URL of its endpoint
    endpoint: String,
    /// Its description
    #[schema(required)]
    description: Option<String>,
    /// Its status
    #[schema(value_type = WebhookStatusWord)]
    status: WebhookStatus,
}

/// An event type that was found.
#[derive(Debug, Serialize, ToSchema)]
struct TypeHit {
    /// Event type
    #[serde(rename = "type")]
    name: String,
    /// Description for people
    description: String,
}

impl From<FoundBrand> for BrandHit {
    fn from(brand: FoundBrand) -> Self {
        Self { brand_id: brand.id.to_string(), name: brand.name }
    }
}

impl From<FoundWebhook> for WebhookHit {
    fn from(webhook: FoundWebhook) -> Self {
        Self {
            id: webhook.id.0,
            brand_id: webhook.brand_id.to_string(),
            endpoint: webhook.endpoint,
            description: webhook.description,
            status: webhook.status,
        }
    }
}

impl From<FoundType> for TypeHit {
    fn from(found: FoundType) -> Self {
        Self { name: found.name, description: found.description }
    }
}

/// Search everything
///
/// Finds brands, webhooks, event types and events of all brands.
#[utoipa::path(
    get, path = "/admin/v1/search", tag = "support", operation_id = "searchAll",
    params(SearchParams),
    responses((status = 200, description = "What was found.", body = SearchView))
)]
pub(crate) async fn search_all(State(api): State<Api>, _: Support, query: Query) -> Result<Json<SearchView>> {
    let text = read_text(query)?;
    let brands = search::find_brands(&api.store, &text, MAX_RESULTS).await?;
    search_for(&api, None, &text, brands).await.map(Json)
}

/// Search a brand
///
/// Finds webhooks and events of the brand, and event types of the catalogue.
#[utoipa::path(
    get, path = "/v1/{brandId}/search", tag = "events", operation_id = "searchBrand",
    params(BrandPath, SearchParams),
    responses((status = 200, description = "What was found.", body = SearchView))
)]
pub(crate) async fn search_brand(
    State(api): State<Api>,
    by: BrandReader,
    query: Query,
) -> Result<Json<SearchView>> {
    let text = read_text(query)?;
    let lower = text.to_lowercase();
    let own = brands::find_brand(&api.store, &by.brand).await?;
    let own = own.map(|brand| FoundBrand { id: brand.id, name: brand.name });
    let names_it = |brand: &FoundBrand| {
        [brand.id.as_str(), &brand.name].iter().any(|name| name.to_lowercase().contains(&lower))
    };
    search_for(&api, Some(&by.brand), &text, own.into_iter().filter(names_it).collect()).await.map(Json)
}

fn read_text(mut query: Query) -> Result<String> {
    let read = |text: &str| {
        let text = text.trim();
        let fits = !text.is_empty() && text.chars().count() <= MAX_TEXT_CHARS && !text.contains('\0');
        if fits { Ok(text.to_owned()) } else { Err(format!("must have 1 to {MAX_TEXT_CHARS} characters")) }
    };
    let given = query.take("q", |text| Ok::<_, String>(text.to_owned()));
    let text = match given {
        Some(given) => read(&given).map_err(|error| query.add_error("q", error)).unwrap_or_default(),
        None => {
            query.add_error("q", "is required");
            String::new()
        }
    };
    query.finish()?;
    Ok(text)
}

async fn search_for(
    api: &Api,
    brand: Option<&BrandId>,
    text: &str,
    brands: Vec<FoundBrand>,
) -> Result<SearchView> {
    let webhooks = search::find_webhooks(&api.store, brand, text, MAX_RESULTS).await?;
    let types = search::find_event_types(&api.store, text, MAX_RESULTS).await?;
    Ok(SearchView {
        brands: brands.into_iter().map(BrandHit::from).collect(),
        webhooks: webhooks.into_iter().map(WebhookHit::from).collect(),
        event_types: types.into_iter().map(TypeHit::from).collect(),
        events: find_events(api, brand, text).await?.into_iter().map(AnyBrandEventView::from).collect(),
    })
}

/// Finds events by their id, `message_id` or key, newest first.
async fn find_events(api: &Api, brand: Option<&BrandId>, text: &str) -> Result<Vec<EventRecord>> {
    let earliest = super::earliest(api);
    let mut found = event_lookup::find_events(&api.store, brand, text, earliest).await?;
    let mut events = Vec::new();
    match brand {
        None => found.extend(search::find_events_by_key(&api.store, text, MAX_RESULTS).await?),
        Some(brand) => {
            let range = EventRange {
                from: domain::time::truncate_to_millis(Utc::now() - api.retention),
                before: KeysetPosition::last(),
                key: Some(text.to_owned()),
                pattern: None,
                disposition: None,
            };
            let page = event_lookup::list_events(&api.store, brand, &range, MAX_RESULTS, earliest).await?;
            events = page.items;
        }
    }
    events.extend(search::load_events(&api.store, &found).await?);
    events.sort_by_key(|event| std::cmp::Reverse((event.created, event.id)));
    let mut seen = HashSet::new();
    events.retain(|event| seen.insert((event.brand_id.clone(), event.id)));
    events.truncate(usize::try_from(MAX_RESULTS).unwrap_or(usize::MAX));
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_required_and_bounded() {
        assert_eq!(read_text(Query::parse("q=+a%20b+")).ok().as_deref(), Some("a b"));
        let long = format!("q={}", "x".repeat(201));
        for bad in ["", "q=", "q=+", "q=a%00", "q=a&q=b", "q=a&x=1", &long] {
            assert!(read_text(Query::parse(bad)).is_err(), "{bad}");
        }
    }
}
