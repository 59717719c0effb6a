//! A producer's trace continues through the event to the endpoint.

use std::collections::BTreeMap;

use e2e::event::{Event, SMS};
use e2e::local_server::LocalServer;
use e2e::platform::Platform;
use e2e::script::Reply;
use http::Method;
use serde_json::{Value, json};

use crate::Stage;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_trace_reaches_the_endpoint_with_every_attempt() {
    let stage = Stage::with_builder(Platform::builder().retries("1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500)]);
    let event = Event::sms("acme");
    stage.platform.producer().await.publish_traced(&event, TRACE).await;
    let requests = endpoint.wait_for_requests(2).await;
    assert_eq!(requests.iter().map(|request| request.header("traceparent")).collect::<Vec<_>>(), [TRACE; 2]);
    requests.iter().for_each(|request| request.verify(&webhook.secret).expect("a signature"));
}

#[tokio::test]
async fn missing_and_invalid_traces_start_none() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    stage.publish_event(&Event::sms("acme")).await;
    let bad = Event::sms("acme");
    stage.platform.producer().await.publish_traced(&bad, "00-not-a-trace\"}").await;
    for request in endpoint.wait_for_requests(2).await {
        assert!(!request.headers.contains_key("traceparent"), "{:?}", request.headers);
    }
}

#[tokio::test]
async fn a_trace_of_an_http_producer_reaches_the_endpoint() {
    let stage = Stage::new().await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let body = json!({"type": SMS, "data": 1}).to_string();
    let headers = [("traceparent", TRACE)];
    let answer = stage.brand.api.send_with(Method::POST, "/v1/acme/events", Some(body), &headers).await;
    let _ = answer.expect_status(202);
    assert_eq!(endpoint.wait_for_requests(1).await[0].header("traceparent"), TRACE);
}

/// Returns the next spans that a collector receives, by service and name.
async fn next_spans(collector: &mut LocalServer) -> Vec<(String, Value)> {
    let request = collector.next_request().await;
    assert_eq!(request.path, "/v1/traces");
    let sent = request.json();
    let mut spans = Vec::new();
    for resource in sent["resourceSpans"].as_array().into_iter().flatten() {
        let service = resource["resource"]["attributes"].as_array().into_iter().flatten();
        let service = service.filter(|entry| entry["key"] == "service.name");
        let service: Vec<&str> = service.filter_map(|entry| entry["value"]["stringValue"].as_str()).collect();
        let scopes = resource["scopeSpans"].as_array().into_iter().flatten();
        let own = scopes.flat_map(|scope| scope["spans"].as_array().into_iter().flatten());
        spans.extend(own.map(|span| (service.concat(), span.clone())));
    }
    spans
}

fn text_field<'a>(span: &'a Value, field: &str) -> &'a str {
    span[field].as_str().unwrap_or_else(|| panic!("no {field} in {span}"))
}

#[tokio::test]
async fn a_collector_gets_spans_below_the_producers_span() {
    let mut collector = LocalServer::start().await;
    let address = collector.url.trim_end_matches("/webhooks").to_owned();
    let stage = Stage::with_builder(Platform::builder().set("OTEL_EXPORTER_OTLP_ENDPOINT", &address)).await;
    let (endpoint, _) = stage.create_webhook("/hook").await;
    let plain = Event::sms("acme");
    let event = Event::sms("acme");
    stage.publish_event(&plain).await;
    stage.platform.producer().await.publish_traced(&event, TRACE).await;
    let request = endpoint.wait_for_event(event.id()).await;
    let mut seen = BTreeMap::new();
    while seen.len() < 2 {
        seen.extend(next_spans(&mut collector).await);
    }
    let route = &seen["router"];
    let deliver = &seen["deliverer"];
    assert_eq!((text_field(route, "name"), text_field(deliver, "name")), ("route event", "deliver event"));
    for span in [route, deliver] {
        assert_eq!(text_field(span, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(text_field(span, "startTimeUnixNano") <= text_field(span, "endTimeUnixNano"), "{span}");
    }
    assert_eq!(text_field(route, "parentSpanId"), "00f067aa0ba902b7");
    assert_eq!(text_field(deliver, "parentSpanId"), text_field(route, "spanId"));
    let expected = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", text_field(deliver, "spanId"));
    assert_eq!(request.header("traceparent"), expected);
    // By default an event without a trace does not start one.
    assert!(!endpoint.wait_for_event(plain.id()).await.headers.contains_key("traceparent"));
}
