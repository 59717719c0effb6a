//! Due retries go before fresh events (contract §3), so that a webhook with a longer backlog than its window
//! still gets every attempt of the schedule.

use std::collections::BTreeMap;

use e2e::platform::Platform;
use e2e::script::Reply;
use serde_json::json;

use crate::{LONG_WAIT_TIMEOUT, Stage};

/// Events, at [`RATE`] a second, three times the number that fits into the window.
const EVENTS: usize = 600;
const RATE: u32 = 10;
/// Attempts that fail before the endpoint recovers.
const FAILING: usize = 40;

#[tokio::test]
async fn retries_overtake_a_backlog_longer_than_the_window() {
    let retries = Platform::builder().retries("1s,2s,3s,4s,5s").window("20s").without_health_rule();
    let stage = Stage::with_builder(retries).await;
    let endpoint = stage.receiver.endpoint("/slow");
    let description = json!({"endpoint": endpoint.url(), "events": ["NOTIFICATION"], "ratePerSecond": RATE});
    let webhook = stage.brand.create_webhook_with(&description).await;
    endpoint.answer((0..FAILING).map(|_| Reply::status(503)).chain([Reply::ok()]));

    let events = stage.publish_many(EVENTS).await;

    let query = "status=delivered";
    stage.brand.wait_listed(&webhook, query, &e2e::event::ids(&events), LONG_WAIT_TIMEOUT).await;
    let attempts: BTreeMap<String, u64> = endpoint.count_by_event();
    let more_than_once = attempts.values().filter(|attempts| **attempts > 1).count();
    assert!(more_than_once > 0, "some failed first: {attempts:?}");
    let requests: u64 = attempts.values().sum();
    assert_eq!(requests, (EVENTS + FAILING) as u64, "each failed attempt has exactly one retry");
}
