//! All routes, on one screen.

pub mod audit;
pub mod brands;
pub mod catalogue;
pub mod events;
pub mod health;
pub mod ingest;
pub mod me;
pub mod overview;
pub mod redeliver;
pub mod rejected;
pub mod stats;
pub mod support_webhooks;
pub mod switches;
pub mod tokens;
pub mod webhooks;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Api;
use crate::problem::Problem;
use crate::{console, docs, layers, openapi, reader};

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
        .routes(routes!(redeliver::test)) // webhooks/{webhookId}/test
        .routes(routes!(stats::of_webhook)) // webhooks/{webhookId}/stats
        .routes(routes!(events::list)) // webhooks/{webhookId}/events
        .routes(routes!(events::read)) // webhooks/{webhookId}/events/{eventId}
        .routes(routes!(events::attempts)) // webhooks/{webhookId}/events/{eventId}/attempts
        .routes(routes!(redeliver::one)) // webhooks/{webhookId}/events/{eventId}/redeliver
        .routes(routes!(redeliver::range)) // webhooks/{webhookId}/redeliver
        .routes(routes!(redeliver::job)) // webhooks/{webhookId}/redeliver/{jobId}
        .routes(routes!(catalogue::offered)) // event-types
        .routes(routes!(ingest::publish)) // events
}

/// `/admin/v1/…`: support's token alone.
fn of_support(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(brands::create, brands::list)) // brands
        .routes(routes!(brands::read, brands::change)) // brands/{brandId}
        .routes(routes!(switches::enable, switches::disable)) // brands/{brandId}/event-types/{typeOrGroup}
        .routes(routes!(tokens::create, tokens::list)) // brands/{brandId}/tokens
        .routes(routes!(tokens::delete)) // brands/{brandId}/tokens/{tokenId}
        .routes(routes!(catalogue::list)) // event-types
        .routes(routes!(catalogue::put, catalogue::delete)) // event-types/{type}
        .routes(routes!(support_webhooks::list)) // webhooks
        .routes(routes!(support_webhooks::disable)) // webhooks/{webhookId}/disable
        .routes(routes!(support_webhooks::enable)) // webhooks/{webhookId}/enable
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
        .route("/docs/api", get(reader::page))
        .route("/docs/api/", get(reader::page))
        .route("/docs/api/{*file}", get(reader::file))
        .route("/console", get(console::page))
        .route("/console/", get(console::page))
        .route("/console/{*file}", get(console::file))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    layers::around(router).with_state(api)
}
