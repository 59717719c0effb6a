//! Middleware around every handler: the timeout, panics, common headers, metrics.

use std::time::Duration;

use tokio::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper::body::Body as _;
use runtime::http_server::{ClientAddress, HeldBody};
use runtime::tasks::{self, Panicked};

use crate::budget::RequestBudget;
use crate::http::body_drain;
use crate::http::problem::Problem;
use crate::http::security_headers::add_security_headers;
use crate::security_log::{AccessRecord, SecurityLog};
use crate::telemetry::{self, RequestServed};

/// Longest time that a request may take, including its body.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Applies the middleware to all routes.
pub(crate) fn apply_layers<S>(router: Router<S>, security_log: SecurityLog) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    // The extractors in `body.rs` bound the size of bodies themselves.
    router
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(security_log, handle_request))
}

async fn handle_request(State(security_log): State<SecurityLog>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _in_flight = telemetry::begin_request();
    let method = telemetry::method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let client = request.extensions().get::<ClientAddress>().copied();
    let (mut parts, body) = request.into_parts();
    let (body, unread) = body_drain::track_body(body);
    let budget = RequestBudget::default();
    parts.extensions.insert(budget.clone());
    let access = AccessRecord::default();
    parts.extensions.insert(access.clone());
    let request = Request::from_parts(parts, body);
    let handler = tasks::contain_panic(next.run(request));
    let mut response = match tokio::time::timeout(REQUEST_TIMEOUT, handler).await {
        Ok(Ok(response)) => response,
        Ok(Err(Panicked)) => {
            tracing::error!(method, route, "a handler panicked");
            Problem::internal_error().into_response()
        }
        Err(_) => Problem::service_unavailable("the request took too long; try again").into_response(),
    };
    unread.drain().await;
    response = hold_response(&budget, response).await;
    let headers = response.headers_mut();
    add_security_headers(headers);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    security_log.record(&access, client, method, route.as_deref(), response.status());
    RequestServed { method, route, client, status: response.status(), duration: started.elapsed() }.emit();
    response
}

/// Counts a response in its brand's share until the client has read it.
///
/// The request holds its other permits until then. A brand that reads slowly thus gets no further responses, and memory
/// for them is not used.
async fn hold_response(budget: &RequestBudget, response: Response) -> Response {
    let size = response.body().size_hint().exact().unwrap_or_default();
    match budget.reserve_response(usize::try_from(size).unwrap_or(usize::MAX)).await {
        Ok(Some(permit)) => response.map(|body| Body::new(HeldBody::new(body, permit))),
        Ok(None) => response,
        Err(problem) => problem.into_response(),
    }
}
