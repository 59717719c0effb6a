//! Every route of the API, on one screen.

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Api;
use crate::http::middleware;
use crate::http::problem::Problem;
use crate::openapi;
use crate::resources::brands::enablement;
use crate::resources::events::{exchange, publish};
use crate::resources::lookup::search;
use crate::resources::redeliveries::job_list;
use crate::resources::rejected::jobs;
use crate::resources::tokens::{of_brand, of_support, own};
use crate::resources::webhooks::{health, secret, stats, support, test_event};
use crate::resources::{
    audit, brands, event_types, events, lookup, me, overview, redeliveries, rejected, webhooks,
};
use crate::site::{api_reference, console, docs};

/// `/v1/me`: any valid token.
fn any_caller_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router.routes(routes!(me::read_caller)) // /v1/me
}

/// `/v1/{brandId}/webhooks…`: the token of the brand, or of support.
fn webhook_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(webhooks::create_webhook, webhooks::list_webhooks)) // webhooks
        .routes(routes!(webhooks::read_webhook, webhooks::change_webhook, webhooks::delete_webhook)) // webhooks/{webhookId}
        .routes(routes!(secret::read_secret)) // webhooks/{webhookId}/secret
        .routes(routes!(health::read_health)) // webhooks/{webhookId}/health
        .routes(routes!(secret::rotate_secret)) // webhooks/{webhookId}/secret/rotate
        .routes(routes!(secret::end_previous_secret)) // webhooks/{webhookId}/secret/end-previous
        .routes(routes!(test_event::test_webhook)) // webhooks/{webhookId}/test
        .routes(routes!(stats::read_stats)) // webhooks/{webhookId}/stats
        .routes(routes!(events::list_events)) // webhooks/{webhookId}/events
        .routes(routes!(events::read_event)) // webhooks/{webhookId}/events/{eventId}
        .routes(routes!(events::list_attempts)) // webhooks/{webhookId}/events/{eventId}/attempts
        .routes(routes!(exchange::read_exchange)) // webhooks/{webhookId}/events/{eventId}/attempts/{attemptId}
        .routes(routes!(redeliveries::redeliver_event)) // webhooks/{webhookId}/events/{eventId}/redeliver
        .routes(routes!(redeliveries::redeliver_range, job_list::list_redeliveries)) // webhooks/{webhookId}/redeliver
        .routes(routes!(redeliveries::read_redelivery, job_list::cancel_redelivery)) // webhooks/{webhookId}/redeliver/{jobId}
}

/// `/v1/{brandId}/…` beside the webhooks: the token of the brand, or of support.
fn brand_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(job_list::list_brand_redeliveries)) // redeliveries
        .routes(routes!(stats::read_brand_stats)) // stats
        .routes(routes!(event_types::list_brand_event_types)) // event-types
        .routes(routes!(publish::publish_events, lookup::list_brand_events)) // events
        .routes(routes!(lookup::look_up_event)) // events/{eventId}
        .routes(routes!(search::search_brand)) // search
        .routes(routes!(audit::list_brand_audit)) // audit
        .routes(routes!(own::create_brand_token, own::list_brand_tokens)) // tokens
        .routes(routes!(own::delete_brand_token)) // tokens/{tokenId}
}

/// `/admin/v1/brands…` and the catalogue: a token of support only.
fn catalogue_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(brands::create_brand, brands::list_brands)) // brands
        .routes(routes!(brands::read_brand, brands::change_brand)) // brands/{brandId}
        .routes(routes!(enablement::enable_event_type, enablement::disable_event_type)) // brands/{brandId}/event-types/{typeOrGroup}
        .routes(routes!(of_brand::create_token, of_brand::list_tokens)) // brands/{brandId}/tokens
        .routes(routes!(of_brand::delete_token)) // brands/{brandId}/tokens/{tokenId}
        .routes(routes!(event_types::list_event_types)) // event-types
        .routes(routes!(event_types::put_event_type, event_types::delete_event_type)) // event-types/{type}
}

/// `/admin/v1/…` beside them: a token of support only.
fn support_routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    router
        .routes(routes!(support::list_all_webhooks)) // webhooks
        .routes(routes!(support::disable_webhook)) // webhooks/{webhookId}/disable
        .routes(routes!(support::enable_webhook)) // webhooks/{webhookId}/enable
        .routes(routes!(lookup::look_up_any_event)) // events/{idOrMessageId}
        .routes(routes!(search::search_all)) // search
        .routes(routes!(test_event::test_any_webhook)) // webhooks/{webhookId}/test
        .routes(routes!(job_list::list_all_redeliveries)) // redeliveries
        .routes(routes!(overview::read_overview)) // overview
        .routes(routes!(rejected::list_rejected, rejected::delete_rejected)) // rejected
        .routes(routes!(rejected::summarize_rejected)) // rejected/summary
        .routes(routes!(rejected::republish_rejected)) // rejected/republish
        .routes(routes!(jobs::list_jobs)) // rejected/jobs
        .routes(routes!(jobs::read_job, jobs::cancel_job)) // rejected/jobs/{jobId}
        .routes(routes!(audit::list_audit)) // audit
        .routes(routes!(of_support::create_support_token, of_support::list_support_tokens)) // tokens
        .routes(routes!(of_support::delete_support_token)) // tokens/{tokenId}
}

/// The routes that the OpenAPI document lists.
fn documented_routes() -> OpenApiRouter<Api> {
    let any_caller = any_caller_routes(OpenApiRouter::with_openapi(openapi::base_document()));
    let brand = brand_routes(webhook_routes(any_caller));
    support_routes(catalogue_routes(brand))
}

/// Builds the whole application.
pub fn build_router(api: Api) -> Router {
    let (router, document) = documented_routes().split_for_parts();
    let document = openapi::complete_document(document);
    let reference = api_reference::page_handler(&document);
    let router = router
        .route("/openapi.json", get(openapi::document_handler(&document)))
        .route("/docs", get(docs::serve_start))
        .route("/docs/", get(docs::serve_start))
        .route("/docs/{page}", get(docs::serve_page))
        .route("/docs/api", get(reference.clone()))
        .route("/docs/api/", get(reference))
        .route("/docs/search.json", get(docs::search_handler(&document)))
        .route("/favicon.ico", get(docs::serve_icon))
        .route("/console", get(console::serve_page))
        .route("/console/", get(console::serve_page))
        .route("/console/{*file}", get(console::serve_asset))
        .fallback(async || Problem::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    let security_log = api.security_log.clone();
    middleware::apply_layers(router, security_log).with_state(api)
}
