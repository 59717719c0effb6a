//! Settings of the owner for requests: headers and a limit on concurrency (contract §4).

use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::Webhook;
use e2e::event::{SMS, time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::receiver::Endpoint;
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

const HOUR: Duration = Duration::from_secs(3600);
/// Headers that belong to the platform or to the connection.
const FORBIDDEN: [&str; 16] = [
    "host",
    "Host",
    "content-type",
    "Content-Length",
    "content-anything",
    "user-agent",
    "webhook-id",
    "Webhook-Anything",
    "connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    ":path",
];

async fn create_webhook_with(stage: &Stage, fields: Value) -> (Endpoint, Webhook) {
    let endpoint = stage.receiver.endpoint("/hook");
    let mut description = json!({"endpoint": endpoint.url(), "events": [SMS]});
    for (field, value) in fields.as_object().expect("an object") {
        description[field] = value.clone();
    }
    let webhook = stage.brand.create_webhook_with(&description).await;
    (endpoint, webhook)
}

#[tokio::test]
async fn forbidden_headers_are_a_422() {
    let stage = Stage::new().await;
    let (_, webhook) = create_webhook_with(&stage, json!({"headers": {"x-kept": "1"}})).await;
    let many = |number: usize| (0..number).map(|n| (format!("x-{n}"), json!("v"))).collect::<Value>();
    let long = |bytes: usize| json!({"x-long": "v".repeat(bytes)});
    let mut bad: Vec<Value> = FORBIDDEN.iter().map(|name| json!({*name: "v"})).collect();
    bad.extend([many(21), long(4 * 1024 + 1), json!({"": "v"}), json!({"x y": "v"}), json!({"x": 1})]);
    bad.extend(["a\nb", "a\rb", "a\0b", "\u{7f}"].map(|value| json!({"x-control": value})));
    let path = stage.brand.webhook_path(&webhook, "");
    for headers in bad {
        let pointers = stage.brand.api.patch(&path, &json!({"headers": headers})).await.error_pointers();
        assert!(pointers.iter().all(|p| p.starts_with("/headers")), "{headers}: {pointers:?}");
    }
    assert_eq!(stage.brand.read_webhook(&webhook).await["headers"], json!({"x-kept": "(hidden)"}));
    assert_eq!(stage.brand.read_headers(&webhook).await, json!({"x-kept": "1"}));
    for headers in [many(20), long(4 * 1024 - 100), json!({})] {
        stage.brand.patch_webhook(&webhook, &json!({"headers": null})).await;
        let changed = stage.brand.patch_webhook(&webhook, &json!({"headers": headers})).await;
        assert!(changed["headers"].as_object().expect("headers").values().all(|value| value == "(hidden)"));
        assert_eq!(stage.brand.read_headers(&webhook).await, headers);
    }
    // Headers that were there before count, too.
    stage.brand.patch_webhook(&webhook, &json!({"headers": many(20)})).await;
    let one_more = json!({"headers": {"x-one-more": "v"}});
    assert_eq!(stage.brand.api.patch(&path, &one_more).await.error_pointers(), ["/headers"]);
}

#[tokio::test]
async fn changed_headers_apply_to_the_next_requests() {
    let stage = Stage::new().await;
    let (endpoint, webhook) =
        create_webhook_with(&stage, json!({"headers": {"x-old": "1", "x-both": "1"}})).await;
    let first = stage.deliver_one(&webhook).await;
    assert_eq!(endpoint.wait_for_event(first.id()).await.header("x-both"), "1");

    stage
        .brand
        .patch_webhook(&webhook, &json!({"headers": {"x-old": null, "x-both": "2", "x-new": "3"}}))
        .await;

    eventually("the new headers are sent", WAIT_TIMEOUT, async || {
        let event = stage.deliver_one(&webhook).await;
        let request = endpoint.wait_for_event(event.id()).await;
        let seen = ["x-old", "x-both", "x-new"].map(|name| request.headers.get(name).cloned());
        let wanted = [None, Some("2"), Some("3")].map(|value| value.map(http::HeaderValue::from_static));
        if seen == wanted { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_raised_concurrency_takes_effect() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = create_webhook_with(&stage, json!({"maxConcurrency": 1})).await;
    endpoint.always(Reply::ok().after(Duration::from_millis(50)));
    stage.deliver_many(&webhook, 10).await;
    assert_eq!(endpoint.max_in_flight(), 1);

    stage.brand.patch_webhook(&webhook, &json!({"maxConcurrency": 5})).await;

    // While the change takes effect, requests under the old limit finish beside the new ones.
    eventually("five are in flight, or six", WAIT_TIMEOUT, async || {
        stage.publish_many(20).await;
        stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
        let most = endpoint.max_in_flight();
        if (5..=6).contains(&most) { Ok(()) } else { Err(most.to_string()) }
    })
    .await;
}

/// Old and new events together, at two deliverers, stay within one limit.
#[tokio::test]
async fn redelivered_and_new_events_share_the_concurrency() {
    let stage = Stage::with_builder(Platform::builder().deliverers(2)).await;
    let (endpoint, webhook) = create_webhook_with(&stage, json!({"maxConcurrency": 4})).await;
    let old = stage.deliver_many(&webhook, 150).await;
    endpoint.always(Reply::ok().after(Duration::from_millis(30)));

    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    endpoint.wait_for_requests(old.len() + 20).await;
    stage.publish_many(100).await;
    stage.brand.wait_job(&job, "finished", WAIT_TIMEOUT).await;
    endpoint.wait_for_requests(150 + 150 + 100).await;

    assert_eq!(endpoint.max_in_flight(), 4);
}

/// Replicas that disagree for a while about the owner of a webhook do not double the number of its requests.
#[tokio::test]
async fn redelivered_events_keep_to_their_share_while_deliverers_change() {
    let mut stage = Stage::with_builder(Platform::builder()).await;
    let (endpoint, webhook) = create_webhook_with(&stage, json!({"maxConcurrency": 4})).await;
    stage.deliver_many(&webhook, 400).await;
    endpoint.always(Reply::ok().after(Duration::from_millis(30)));
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let before = endpoint.reset_max_in_flight();
    assert!(before <= 4, "{before}");

    let job = stage.brand.redeliver_range(&webhook, &range).await;
    for more in 1..=4 {
        stage.platform.add_deliverer().start();
        endpoint.wait_for_requests(400 + more * 70).await;
    }
    stage.platform.deliverers.remove(0).terminate().await;
    stage.brand.wait_job(&job, "finished", 2 * WAIT_TIMEOUT).await;

    assert_eq!(endpoint.max_in_flight(), 2, "half of the webhook's four");
    assert_eq!(endpoint.requests().len(), 800, "and each once");
}
