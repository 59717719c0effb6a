//! Builds the signed request of an attempt.

use broker::wire::DeliveryMessage;
use domain::delivery::envelope;
use domain::ids::{AttemptId, BrandId};
use domain::time::Timestamp;
use domain::trace::TRACEPARENT;
use domain::webhook::signature::{self, Signer};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use runtime::traces::Span;

use crate::webhook_cache::WebhookConfig;

/// A request that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Request {
    /// The brand whose share of lookups the request uses.
    pub(crate) brand: BrandId,
    pub(crate) url: url::Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Builds the request of an attempt that starts at `started`, which is signed. Its trace is the span's, or else the
/// producer's.
pub(crate) fn build_request(
    webhook: &WebhookConfig,
    message: &DeliveryMessage,
    data: &str,
    attempt: AttemptId,
    started: Timestamp,
    span: Option<&Span>,
) -> Request {
    let body = envelope::encode_envelope(&message.head, webhook.id, attempt, data);
    let id = message.head.id.to_string();
    let mut headers = webhook.headers.clone();
    let signature = signature_header(webhook, &id, started, &body);
    set_platform_headers(&mut headers, &id, started.timestamp(), &signature);
    let producers_trace = || message.progress.trace.as_ref().map(ToString::to_string);
    set_trace_header(&mut headers, span.map(Span::traceparent).or_else(producers_trace));
    let brand = message.head.brand_id.clone();
    Request { brand, url: webhook.endpoint.url().clone(), headers, body }
}

/// Returns the signatures of a request: of the current keys, and of the keys before the last rotation while both count.
fn signature_header(webhook: &WebhookConfig, id: &str, now: Timestamp, body: &[u8]) -> String {
    let previous =
        webhook.previous_signers.iter().filter(|(_, until)| now < *until).flat_map(|(signers, _)| signers);
    let signers: Vec<Signer> = webhook.signers.iter().chain(previous).cloned().collect();
    signature::sign_request(&signers, id, now.timestamp(), body)
}

/// Sets the headers of the platform. A webhook cannot set them itself.
fn set_platform_headers(headers: &mut HeaderMap, id: &str, unix_seconds: i64, signature: &str) {
    let ascii =
        |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| unreachable!("ids, digits and base64"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", ascii(id));
    headers.insert("webhook-timestamp", HeaderValue::from(unix_seconds));
    headers.insert("webhook-signature", ascii(signature));
}

/// Passes the trace on. It replaces a header that the webhook set itself.
fn set_trace_header(headers: &mut HeaderMap, trace: Option<String>) {
    if let Some(trace) = trace.and_then(|trace| HeaderValue::try_from(trace).ok()) {
        headers.insert(TRACEPARENT, trace);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::webhook::signature::{Keys, Secret};

    use super::*;
    use crate::delivery::messages::tests::message;
    use crate::webhook_cache::tests::webhook;

    const DATA: &str = "{\"a\":1}";
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn started() -> Timestamp {
        domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("an instant")
    }

    fn attempt() -> AttemptId {
        "01F2SFW32CT8KZXDWG4JTG9WPT".parse().expect("an id")
    }

    fn header<'a>(request: &'a Request, name: &str) -> &'a str {
        request.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    #[test]
    fn a_request_carries_the_platforms_headers_and_the_webhooks_own() {
        let mut webhook = webhook(7);
        webhook.headers.insert("x-tenant", HeaderValue::from_static("acme"));
        let message = message(None);
        let request = build_request(&webhook, &message, DATA, attempt(), started(), None);
        assert_eq!(request.url.as_str(), "https://example.com/hook");
        assert_eq!(header(&request, "webhook-id"), message.head.id.to_string());
        assert_eq!(header(&request, "webhook-timestamp"), started().timestamp().to_string());
        assert_eq!(header(&request, "content-type"), "application/json");
        assert_eq!(header(&request, "x-tenant"), "acme");
        assert_eq!(header(&request, "traceparent"), "");
        let expected = envelope::encode_envelope(&message.head, webhook.id, attempt(), DATA);
        assert_eq!(request.body, expected);
    }

    #[test]
    fn a_rotated_secret_signs_until_its_overlap_ends() {
        let old = Keys { secret: Secret::from_bytes(vec![9; 32]), signing_key: None };
        let mut webhook = webhook(7);
        let signatures = |webhook: &WebhookConfig| {
            let request = build_request(webhook, &message(None), DATA, attempt(), started(), None);
            header(&request, "webhook-signature").split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        let current = signatures(&webhook);
        assert_eq!(current.len(), 1);
        webhook.previous_signers = Some((old.signers().collect(), started() + TimeDelta::milliseconds(1)));
        let both = signatures(&webhook);
        assert_eq!((both.len(), &both[0]), (2, &current[0]));
        webhook.previous_signers = Some((old.signers().collect(), started()));
        assert_eq!(signatures(&webhook), current);
    }

    #[test]
    fn the_producers_trace_replaces_a_header_of_the_webhook() {
        let mut webhook = webhook(7);
        webhook.headers.insert(TRACEPARENT, HeaderValue::from_static("its own"));
        let message = message(Some(TRACE.parse().expect("a trace")));
        let request = build_request(&webhook, &message, DATA, attempt(), started(), None);
        assert_eq!(header(&request, TRACEPARENT), TRACE);
        assert_eq!(request.headers.get_all(TRACEPARENT).iter().count(), 1);
    }
}
