//! The cost of a request, which its token's rate counts (`POSTRIDER_TOKEN_RATE`).
//!
//! A plain request costs one. A request costs more if it makes PostgreSQL or the broker work for longer, so that one
//! token cannot occupy them at the rate of plain requests. `/openapi.json` and the documentation show the same table.

use std::num::NonZeroU32;

use axum::http::Method;

/// A cost in plain requests.
pub(crate) type Cost = NonZeroU32;

/// A plain request: a list page, a read, a write of one object.
const PLAIN: Cost = Cost::MIN;
/// Statistics and the overview, which aggregate rows, lookups and searches, which read rows of several tables, and a brand's
/// audit, which may read many entries for a page.
const AGGREGATE: Cost = Cost::new(5).unwrap();
/// Statistics of a brand, which aggregate the rows of all its webhooks.
const BRAND_STATS: Cost = Cost::new(20).unwrap();
/// A page of Get Events with a filter, or of webhooks by their health, which may read many rows for few items.
const FILTERED_PAGE: u32 = 5;
/// A redelivery of a range, which counts and then sends any number of events.
const REDELIVERY_RANGE: Cost = Cost::new(50).unwrap();
/// Events of a publishing request that together cost as much as a plain request.
const EVENTS_PER_COST: usize = 100;

/// Costs that follow from the method and the route.
const COSTS: [(Method, &str, Cost); 9] = [
    (Method::POST, "/v1/{brandId}/webhooks/{webhookId}/redeliver", REDELIVERY_RANGE),
    (Method::GET, "/v1/{brandId}/webhooks/{webhookId}/stats", AGGREGATE),
    (Method::GET, "/v1/{brandId}/stats", BRAND_STATS),
    (Method::GET, "/v1/{brandId}/events/{eventId}", AGGREGATE),
    (Method::GET, "/v1/{brandId}/search", AGGREGATE),
    (Method::GET, "/v1/{brandId}/audit", AGGREGATE),
    (Method::GET, "/admin/v1/overview", AGGREGATE),
    (Method::GET, "/admin/v1/events/{idOrMessageId}", AGGREGATE),
    (Method::GET, "/admin/v1/search", AGGREGATE),
];

/// Returns the cost of a request that is known from its method and route.
pub(crate) fn route_cost(method: &Method, route: &str) -> Cost {
    let found = COSTS.iter().find(|(own, path, _)| own == method && *path == route);
    found.map_or(PLAIN, |(.., cost)| *cost)
}

/// Returns the further cost of a page with a filter.
pub(crate) fn filter_surcharge(filtered: bool) -> Option<Cost> {
    if filtered { Cost::new(FILTERED_PAGE - PLAIN.get()) } else { None }
}

/// Returns the further cost of publishing this number of events.
pub(crate) fn events_surcharge(events: usize) -> Option<Cost> {
    let costs = events.div_ceil(EVENTS_PER_COST).saturating_sub(1);
    Cost::new(u32::try_from(costs).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_costs_what_it_does() {
        let cost = |method, route| route_cost(&method, route).get();
        assert_eq!(cost(Method::GET, "/v1/{brandId}/webhooks"), 1);
        assert_eq!(cost(Method::GET, "/v1/{brandId}/webhooks/{webhookId}/redeliver"), 1);
        assert_eq!(cost(Method::POST, "/v1/{brandId}/webhooks/{webhookId}/redeliver"), 50);
        assert_eq!(cost(Method::GET, "/v1/{brandId}/webhooks/{webhookId}/stats"), 5);
        for lookup in [
            "/v1/{brandId}/events/{eventId}",
            "/v1/{brandId}/search",
            "/admin/v1/events/{idOrMessageId}",
            "/admin/v1/search",
        ] {
            assert_eq!(cost(Method::GET, lookup), 5, "{lookup}");
        }
        assert_eq!(cost(Method::GET, "/v1/{brandId}/audit"), 5);
        assert_eq!(filter_surcharge(true).map(Cost::get), Some(4));
        assert_eq!(filter_surcharge(false), None);
        for (events, surcharge) in [(0, None), (1, None), (100, None), (101, Some(1)), (500, Some(4))] {
            assert_eq!(events_surcharge(events).map(Cost::get), surcharge, "{events}");
        }
    }
}
