//! Every route of the API, on one screen.

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
use crate::resources::webhooks::{health, secret, stats, support, test_event};
use crate::resources::{audit, brands, event_types, events, me, overview, redeliveries, rejected, webhooks};
use crate::site::{api_reference, console, docs};

/// `/v1/me`: any valid token.
fn any_caller_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router.routes(routes!(me::read_caller)) // /v1/me
}

/// `/v1/{brandId}/…`: the token of the brand, or of support.
fn brand_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(webhooks::create_webhook, webhooks::list_webhooks)) // webhooks
        .routes(routes!(webhooks::read_webhook, webhooks::change_webhook, webhooks::delete_webhook)) // webhooks/{webhookId}
        .routes(routes!(secret::read_secret)) // webhooks/{webhookId}/secret
        .routes(routes!(health::read_health)) // webhooks/{webhookId}/health
        .routes(routes!(secret::rotate_secret)) // webhooks/{webhookId}/secret/rotate
        .routes(routes!(test_event::test_webhook)) // webhooks/{webhookId}/test
        .routes(routes!(stats::read_stats)) // webhooks/{webhookId}/stats
        .routes(routes!(events::list_events)) // webhooks/{webhookId}/events
        .routes(routes!(events::read_event)) // webhooks/{webhookId}/events/{eventId}
        .routes(routes!(events::list_attempts)) // webhooks/{webhookId}/events/{eventId}/attempts
        .routes(routes!(redeliveries::redeliver_event)) // webhooks/{webhookId}/events/{eventId}/redeliver
        .routes(routes!(redeliveries::redeliver_range)) // webhooks/{webhookId}/redeliver
        .routes(routes!(redeliveries::read_redelivery)) // webhooks/{webhookId}/redeliver/{jobId}
        .routes(routes!(event_types::list_brand_event_types)) // event-types
        .routes(routes!(publish::publish_events)) // events
}

/// `/admin/v1/…`: the token of support only.
fn support_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(brands::create_brand, brands::list_brands)) // brands
        .routes(routes!(brands::read_brand, brands::change_brand)) // brands/{brandId}
        .routes(routes!(enablement::enable_event_type, enablement::disable_event_type)) // brands/{brandId}/event-types/{typeOrGroup}
        .routes(routes!(tokens::create_token, tokens::list_tokens)) // brands/{brandId}/tokens
        .routes(routes!(tokens::delete_token)) // brands/{brandId}/tokens/{tokenId}
        .routes(routes!(event_types::list_event_types)) // event-types
        .routes(routes!(event_types::put_event_type, event_types::delete_event_type)) // event-types/{type}
        .routes(routes!(support::list_all_webhooks)) // webhooks
        .routes(routes!(support::disable_webhook)) // webhooks/{webhookId}/disable
        .routes(routes!(support::enable_webhook)) // webhooks/{webhookId}/enable
        .routes(routes!(overview::read_overview)) // overview
        .routes(routes!(rejected::list_rejected, rejected::delete_rejected)) // rejected
        .routes(routes!(rejected::summarize_rejected)) // rejected/summary
        .routes(routes!(rejected::republish_rejected)) // rejected/republish
        .routes(routes!(audit::list_audit)) // audit
}

/// The routes that the OpenAPI document lists.
fn documented_routes() -> OpenApiRouter<Api> {
    support_routes(brand_routes(any_caller_routes(OpenApiRouter::with_openapi(openapi::base_document()))))
}

/// Builds the whole application.
pub fn build_router(api: Api) -> Router {
    let (router, mut document) = documented_routes().split_for_parts();
    openapi::add_error_responses(&mut document);
    let reference = api_reference::page_handler(&document);
    let router = router
        .route("/openapi.json", get(openapi::document_handler(&document)))
        .route("/docs", get(docs::serve_start))
        .route("/docs/", get(docs::serve_start))
        .route("/docs/{page}", get(docs::serve_page))
        .route("/docs/api", get(reference.clone()))
        .route("/docs/api/", get(reference))
        .route("/console", get(console::serve_page))
        .route("/console/", get(console::serve_page))
        .route("/console/{*file}", get(console::serve_asset))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    let security_log = api.security_log.clone();
    middleware::apply_layers(router, security_log).with_state(api)
}
