//! All routes, on one screen.

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Api;
use crate::http::middleware;
use crate::http::problem::Problem;
use crate::openapi;
use crate::resources::brands::{enablement, tokens};
use crate::resources::events::publish;
use crate::resources::webhooks::{health, stats, support};
use crate::resources::{audit, brands, event_types, events, me, overview, redeliveries, rejected, webhooks};
use crate::site::{api_reference, console, docs};

/// Any valid token.
fn of_anybody(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router.routes(routes!(me::read)) // /v1/me
}

/// `/v1/{brandId}/…`: a brand's own token, or support's.
fn of_brands(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(webhooks::create, webhooks::list)) // webhooks
        .routes(routes!(webhooks::read, webhooks::change, webhooks::delete)) // webhooks/{webhookId}
        .routes(routes!(webhooks::secret)) // webhooks/{webhookId}/secret
        .routes(routes!(health::read)) // webhooks/{webhookId}/health
        .routes(routes!(webhooks::rotate)) // webhooks/{webhookId}/secret/rotate
        .routes(routes!(redeliveries::test)) // webhooks/{webhookId}/test
        .routes(routes!(stats::of_webhook)) // webhooks/{webhookId}/stats
        .routes(routes!(events::list)) // webhooks/{webhookId}/events
        .routes(routes!(events::read)) // webhooks/{webhookId}/events/{eventId}
        .routes(routes!(events::attempts)) // webhooks/{webhookId}/events/{eventId}/attempts
        .routes(routes!(redeliveries::one)) // webhooks/{webhookId}/events/{eventId}/redeliver
        .routes(routes!(redeliveries::range)) // webhooks/{webhookId}/redeliver
        .routes(routes!(redeliveries::job)) // webhooks/{webhookId}/redeliver/{jobId}
        .routes(routes!(event_types::offered)) // event-types
        .routes(routes!(publish::publish)) // events
}

/// `/admin/v1/…`: support's token alone.
fn of_support(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(brands::create, brands::list)) // brands
        .routes(routes!(brands::read, brands::change)) // brands/{brandId}
        .routes(routes!(enablement::enable, enablement::disable)) // brands/{brandId}/event-types/{typeOrGroup}
        .routes(routes!(tokens::create, tokens::list)) // brands/{brandId}/tokens
        .routes(routes!(tokens::delete)) // brands/{brandId}/tokens/{tokenId}
        .routes(routes!(event_types::list)) // event-types
        .routes(routes!(event_types::put, event_types::delete)) // event-types/{type}
        .routes(routes!(support::list)) // webhooks
        .routes(routes!(support::disable)) // webhooks/{webhookId}/disable
        .routes(routes!(support::enable)) // webhooks/{webhookId}/enable
        .routes(routes!(overview::read)) // overview
        .routes(routes!(rejected::list, rejected::delete)) // rejected
        .routes(routes!(rejected::republish)) // rejected/republish
        .routes(routes!(audit::list)) // audit
}

/// The routes that the OpenAPI document lists.
fn documented() -> OpenApiRouter<Api> {
    of_support(of_brands(of_anybody(OpenApiRouter::with_openapi(openapi::base()))))
}

/// The whole application.
pub fn router(api: Api) -> Router {
    let (router, mut document) = documented().split_for_parts();
    openapi::complete(&mut document);
    let router = router
        .route("/openapi.json", get(openapi::serve(&document)))
        .route("/docs", get(docs::start))
        .route("/docs/", get(docs::start))
        .route("/docs/{page}", get(docs::page))
        .route("/docs/api", get(api_reference::page))
        .route("/docs/api/", get(api_reference::page))
        .route("/docs/api/{*file}", get(api_reference::file))
        .route("/console", get(console::page))
        .route("/console/", get(console::page))
        .route("/console/{*file}", get(console::file))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    middleware::around(router).with_state(api)
}
