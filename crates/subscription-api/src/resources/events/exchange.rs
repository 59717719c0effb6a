//! The exchange of an attempt: the request as it was sent, and the response.
//!
//! The body of the request is computed again: it is a pure function of the event, the webhook and the attempt. The rest is
//! stored with the attempt. An attempt that a deliverer of an earlier release made has no stored part.

use axum::Json;
use axum::extract::State;
use domain::delivery::envelope::{EventHead, encode_envelope};
use domain::delivery::exchange::{Exchange, HeaderContext, ResponseHeaders, SentValue, parse_headers};
use domain::ids::WebhookId;
use serde::Serialize;
use store::delivery::attempts::{self, Attempt};
use store::delivery::deliveries::Delivery;
use utoipa::ToSchema;

use super::{AttemptView, attempt_view, find_delivery};
use crate::api::Api;
use crate::auth::BrandReader;
use crate::http::path::{
    AttemptInPath, AttemptPath, BrandPath, EventInPath, EventPath, WebhookInPath, WebhookPath,
    attempt_not_found,
};
use crate::http::problem::{Problem, Result};
use crate::openapi::samples;

/// Why the body is missing if this release encodes the event in another form than the deliverer did.
const OTHER_BODY: &str = "the body was encoded by another release, and this release cannot rebuild it";
/// The header with the length of the body.
const CONTENT_LENGTH: &str = "content-length";

/// An attempt with its request and its response.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Exchange, example = samples::exchange)]
pub(crate) struct ExchangeView {
    #[serde(flatten)]
    attempt: AttemptView,
    /// The request
    request: RequestView,
    /// The response; null if there was none
    #[schema(required)]
    response: Option<ResponseView>,
    /// Duration of each phase
    timing: TimingView,
    /// Address and port that answered; the addresses that were tried, separated by commas, if none answered; null if no
    /// address was tried
    #[schema(required)]
    remote_address: Option<String>,
    /// TLS of the connection; null if TLS did not begin
    #[schema(required)]
    tls: Option<TlsView>,
    /// Target of a redirect (3xx), which is never followed; null otherwise
    #[schema(required)]
    location: Option<String>,
}

/// A request as it was sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExchangeRequest, example = samples::exchange_request)]
pub(crate) struct RequestView {
    /// Whether the request was handed to a connection; null if that was not recorded
    #[schema(required)]
    sent: Option<bool>,
    /// Always `POST`
    method: &'static str,
    /// URL; null if it was not recorded
    #[schema(required)]
    url: Option<String>,
    /// Whether `url` is only the beginning of a URL of more than 2,048 bytes, and with it the path and query among the
    /// headers; null if it was not recorded
    #[schema(required)]
    url_truncated: Option<bool>,
    /// Names and values in the order in which they were sent; null if they were not recorded. The value of a custom header
    /// is `(hidden)`. A request over HTTP/2 has the pseudo-headers `:method`, `:scheme`, `:authority` and `:path`
    #[schema(required, value_type = Option<Vec<Vec<String>>>)]
    headers: Option<Vec<(String, String)>>,
    /// Body, byte for byte; null if it cannot be computed any more
    #[schema(required)]
    body: Option<String>,
    /// Why `body` is null; null otherwise
    #[schema(required)]
    body_unavailable: Option<&'static str>,
}

/// A response.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExchangeResponse, example = samples::exchange_response)]
pub(crate) struct ResponseView {
    /// HTTP status
    status: i32,
    /// Names and values in the order in which they arrived, at most 4 KiB; null if they were not recorded
    #[schema(required, value_type = Option<Vec<Vec<String>>>)]
    headers: Option<Vec<(String, String)>>,
    /// Whether there were more than 4 KiB of headers; null if that was not recorded
    #[schema(required)]
    headers_truncated: Option<bool>,
    /// Beginning of the body, at most 4 KiB; null if there was none
    #[schema(required)]
    body: Option<String>,
    /// Whether `body` is not the whole body: it was longer, was cut off, or did not end in time; null if that was not
    /// recorded
    #[schema(required)]
    body_truncated: Option<bool>,
}

/// The phases of an exchange. Null if a phase did not happen.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExchangeTiming, example = samples::exchange_timing)]
pub(crate) struct TimingView {
    /// Lookup of the name in milliseconds
    #[schema(required, minimum = 0)]
    dns_ms: Option<u32>,
    /// TCP connection in milliseconds
    #[schema(required, minimum = 0)]
    connect_ms: Option<u32>,
    /// TLS handshake in milliseconds
    #[schema(required, minimum = 0)]
    tls_ms: Option<u32>,
    /// From the request to the first byte of the response, in milliseconds
    #[schema(required, minimum = 0)]
    first_byte_ms: Option<u32>,
    /// Whether the connection had served a request before, so that it has no lookup and no handshake; null if that was
    /// not recorded
    #[schema(required)]
    reused_connection: Option<bool>,
}

/// TLS of a connection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExchangeTls, example = samples::exchange_tls)]
pub(crate) struct TlsView {
    /// Version; null if the handshake failed
    #[schema(required)]
    version: Option<&'static str>,
    /// Why the handshake failed, in words; null if it did not
    #[schema(required)]
    problem: Option<String>,
}

/// Read the exchange of an attempt
///
/// Shows the request exactly as it was sent, the response, the duration of each phase, and why TLS failed. The body of the
/// request is the one that was signed; values of custom headers are `(hidden)`.
#[utoipa::path(
    get, path = "/v1/{brandId}/webhooks/{webhookId}/events/{eventId}/attempts/{attemptId}", tag = "events",
    operation_id = "readExchange",
    params(BrandPath, WebhookPath, EventPath, AttemptPath),
    responses((status = 200, description = "The attempt with its request and its response.", body = ExchangeView))
)]
pub(crate) async fn read_exchange(
    State(api): State<Api>,
    by: BrandReader,
    WebhookInPath(webhook): WebhookInPath,
    EventInPath(event): EventInPath,
    AttemptInPath(attempt): AttemptInPath,
) -> Result<Json<ExchangeView>> {
    let delivery = find_delivery(&api, &by, webhook, event).await?;
    let found = attempts::find_attempt(&api.store, webhook, (event, delivery.created), attempt).await?;
    let (attempt, stored) = found.ok_or_else(attempt_not_found)?;
    // A later release may have written another form. Then the attempt is shown as if it had none.
    let exchange = stored.and_then(|stored| Exchange::decode(&stored).ok());
    Ok(Json(exchange_view(webhook, &delivery, attempt, exchange)?))
}

fn exchange_view(
    webhook: WebhookId,
    delivery: &Delivery,
    attempt: Attempt,
    exchange: Option<Exchange>,
) -> Result<ExchangeView> {
    let body = encode_body(webhook, delivery, &attempt)?;
    let sent_bytes = exchange.as_ref().and_then(sent_length);
    let body = Some(body).filter(|body| sent_bytes.is_none_or(|bytes| bytes == body.len() as u64));
    let context = HeaderContext {
        event: delivery.event_id,
        started: attempt.started_at,
        url: exchange.as_ref().map_or("", |exchange| &exchange.url),
    };
    let headers = exchange.as_ref().map(|exchange| {
        let headers = exchange.headers.iter();
        headers.map(|header| (header.name.clone(), header.value.resolve(&context))).collect()
    });
    let request = RequestView {
        sent: exchange.as_ref().map(|exchange| exchange.is_sent),
        method: "POST",
        url: exchange.as_ref().map(|exchange| exchange.url.clone()),
        url_truncated: exchange.as_ref().map(|exchange| exchange.is_url_cut),
        headers,
        body_unavailable: body.is_none().then_some(OTHER_BODY),
        body,
    };
    let response = response_view(&attempt, exchange.as_ref());
    let status = attempt.status_code.and_then(|status| u16::try_from(status).ok());
    let redirect = exchange.as_ref().and_then(|exchange| exchange.response.as_ref()).zip(status);
    Ok(ExchangeView {
        request,
        response,
        location: redirect.and_then(|(headers, status)| headers.location(status)),
        timing: exchange.as_ref().map(timing_view).unwrap_or_default(),
        tls: exchange.as_ref().and_then(tls_view),
        remote_address: exchange.and_then(|exchange| exchange.remote_address),
        attempt: attempt_view(attempt),
    })
}

/// Returns the length of the body that was sent, if it is stored.
fn sent_length(exchange: &Exchange) -> Option<u64> {
    let header = exchange.headers.iter().find(|header| header.name == CONTENT_LENGTH)?;
    match header.value {
        SentValue::Number(bytes) => Some(bytes),
        _ => None,
    }
}

/// Encodes the body exactly as the deliverer did.
fn encode_body(webhook: WebhookId, delivery: &Delivery, attempt: &Attempt) -> Result<String> {
    let event_type = delivery.event_type.parse().map_err(|error| {
        tracing::error!(event = %delivery.event_id, %error, "the stored type of an event is not valid");
        Problem::internal_error()
    })?;
    let head = EventHead {
        id: delivery.event_id,
        brand_id: delivery.brand_id.clone(),
        created: delivery.created,
        event_type,
    };
    let body = encode_envelope(&head, webhook, attempt.id, &delivery.data);
    String::from_utf8(body).map_err(|_| Problem::internal_error())
}

fn response_view(attempt: &Attempt, exchange: Option<&Exchange>) -> Option<ResponseView> {
    let headers = exchange.and_then(|exchange| exchange.response.as_ref());
    let parse = |headers: &ResponseHeaders| parse_headers(&headers.block, headers.is_cut);
    Some(ResponseView {
        status: attempt.status_code?,
        headers: headers.map(parse),
        headers_truncated: headers.map(|headers| headers.is_cut),
        body: attempt.response_body.clone(),
        body_truncated: exchange.map(|exchange| exchange.is_body_cut),
    })
}

fn timing_view(exchange: &Exchange) -> TimingView {
    let timing = &exchange.timing;
    TimingView {
        dns_ms: timing.dns_ms,
        connect_ms: timing.connect_ms,
        tls_ms: timing.tls_ms,
        first_byte_ms: timing.first_byte_ms,
        reused_connection: Some(exchange.is_reused),
    }
}

fn tls_view(exchange: &Exchange) -> Option<TlsView> {
    let has_begun = exchange.tls_version.is_some() || exchange.timing.tls_ms.is_some();
    has_begun.then(|| TlsView {
        version: exchange.tls_version.map(domain::delivery::exchange::TlsVersion::as_str),
        problem: exchange.tls_problem.clone(),
    })
}
