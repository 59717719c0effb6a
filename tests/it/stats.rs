//! The statistics of a webhook, for plots (contract §4).

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::Webhook;
use e2e::event::{time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::receiver::Endpoint;
use e2e::script::Reply;
use serde_json::{Value, json};

use crate::Stage;

const HOUR: Duration = Duration::from_secs(3600);
const OUTCOMES: [&str; 8] =
    ["delivered", "http_status", "timeout", "dns", "connect", "tls", "blocked", "protocol"];

/// Causes attempts of four kinds, and returns how many of each the API lists.
async fn create_attempts(stage: &Stage) -> (Webhook, BTreeMap<String, u64>) {
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    publish_attempts(stage, &endpoint, &webhook, Reply::status(500), 4).await;
    publish_attempts(stage, &endpoint, &webhook, Reply::Hang, 1).await;
    publish_attempts(stage, &endpoint, &webhook, Reply::Drop, 2).await;
    publish_attempts(stage, &endpoint, &webhook, Reply::ok().after(Duration::from_millis(120)), 5).await;
    stage.brand.wait_no_events(&webhook, "status=pending", WAIT_TIMEOUT).await;
    let mut counts = BTreeMap::new();
    for event in stage.brand.list_events(&webhook, "").await {
        for attempt in stage.brand.list_attempts(&webhook, event["id"].as_str().expect("an id")).await {
            *counts.entry(attempt["outcome"].as_str().expect("an outcome").to_owned()).or_default() += 1;
        }
    }
    (webhook, counts)
}

async fn publish_attempts(
    stage: &Stage,
    endpoint: &Endpoint,
    webhook: &Webhook,
    reply: Reply,
    number: usize,
) {
    endpoint.always(reply);
    for event in stage.publish_many(number).await {
        stage.brand.wait_attempts(webhook, event.id(), 1).await;
    }
}

async fn read_stats(stage: &Stage, webhook: &Webhook, query: &str) -> Value {
    stage
        .brand
        .api
        .get(&stage.brand.webhook_path(webhook, &format!("/stats?{query}")))
        .await
        .expect_status(200)
        .json()
}

/// Returns the sums over all time buckets, by outcome and of `attempts`.
fn sum_buckets(stats: &Value) -> (BTreeMap<String, u64>, u64) {
    let mut sums = BTreeMap::new();
    let mut attempts = 0;
    for item in stats["items"].as_array().expect("items") {
        attempts += item["attempts"].as_u64().expect("a number");
        for outcome in OUTCOMES {
            let number = item["outcomes"][outcome].as_u64().unwrap_or_else(|| panic!("{outcome}: {item}"));
            *sums.entry(outcome.to_owned()).or_default() += number;
        }
    }
    sums.retain(|_, number| *number > 0);
    (sums, attempts)
}

#[tokio::test]
async fn the_sums_equal_the_listed_attempts() {
    let brief = Platform::builder().one_attempt().without_health_rule();
    let stage = Stage::with_builder(brief.set("POSTRIDER_REQUEST_TIMEOUT", "1s")).await;
    let (webhook, counts) = create_attempts(&stage).await;
    let total: u64 = counts.values().sum();
    assert_eq!(total, 12, "{counts:?}");

    for step in [60, 300, 3600] {
        let query = format!("from={}&to={}&step={step}", time_ago(2 * HOUR), time_ahead(HOUR));
        eventually("the sums agree with the attempts", WAIT_TIMEOUT, async || {
            let stats = read_stats(&stage, &webhook, &query).await;
            let seen = sum_buckets(&stats);
            if seen == (counts.clone(), total) { Ok(()) } else { Err(format!("{seen:?}, not {counts:?}")) }
        })
        .await;
        assert_regular_buckets(&read_stats(&stage, &webhook, &query).await, step);
    }
    let default = read_stats(&stage, &webhook, "").await;
    assert_eq!(sum_buckets(&default), (counts, total), "without a query it shows recent attempts");
    let before = format!("from={}&to={}", time_ago(3 * HOUR), time_ago(2 * HOUR));
    assert_eq!(sum_buckets(&read_stats(&stage, &webhook, &before).await).1, 0);
}

/// Asserts that the buckets follow one another, and that the latencies of non-empty ones are in order.
fn assert_regular_buckets(stats: &Value, step: i64) {
    let [wanted, shown] = [&json!(step), &stats["stepSeconds"]].map(Value::as_f64);
    assert_eq!(shown, wanted);
    let items = stats["items"].as_array().expect("items");
    let at = |item: &Value| {
        let text = item["at"].as_str().unwrap_or_else(|| panic!("no time in {item}"));
        chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp()
    };
    for pair in items.windows(2) {
        let gap = at(&pair[1]) - at(&pair[0]);
        assert!(gap > 0 && gap % step == 0, "{gap} s between steps of {step} s");
    }
    for item in items.iter().filter(|item| item["attempts"] != 0) {
        let latency = ["p50", "p90", "p99"].map(|p| item["latencyMs"][p].as_f64());
        let [Some(p50), Some(p90), Some(p99)] = latency else { panic!("{item}") };
        assert!(0.0 < p50 && p50 <= p90 && p90 <= p99, "{item}");
    }
    let slowest = items.iter().filter_map(|item| item["latencyMs"]["p99"].as_f64()).fold(0.0, f64::max);
    assert!(slowest >= 120.0, "an answer took 120 ms: {slowest}");
}

#[tokio::test]
async fn an_invalid_query_is_a_400() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let week = format!("from={}&to={}", time_ago(7 * 24 * HOUR), time_ago(Duration::ZERO));
    let backwards = format!("from={}&to={}", time_ago(HOUR), time_ago(2 * HOUR));
    let bad =
        ["step=0", "step=-60", "step=x", "from=yesterday", "to=1", &backwards, &format!("{week}&step=1")];
    for query in bad {
        let path = stage.brand.webhook_path(&webhook, &format!("/stats?{query}"));
        let _ = stage.brand.api.get(&path).await.expect_problem(400);
    }
    let unknown = stage.brand.webhooks_path(&format!("/{}/stats", uuid::Uuid::new_v4()));
    let _ = stage.brand.api.get(&unknown).await.expect_problem(404);
}
