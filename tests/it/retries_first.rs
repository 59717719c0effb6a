//! Due retries go before fresh events (contract §3), so that a webhook with a longer backlog than its window
//! still gets every attempt of the schedule.

use std::time::Duration;

use e2e::event::ids;
use e2e::platform::Platform;
use e2e::script::Reply;
use serde_json::json;

use crate::Stage;

/// Events. With a retry for each they are three times what [`RATE`] lets through within [`WINDOW`].
const EVENTS: usize = 150;
const RATE: u32 = 10;
const WINDOW: &str = "10s";
/// Maximum time of all deliveries, which take half a minute at that rate.
const TIMEOUT: Duration = Duration::from_secs(150);

#[tokio::test]
async fn retries_overtake_a_backlog_longer_than_the_window() {
    let retries = Platform::builder().retries("1s,2s,3s").window(WINDOW).without_health_rule();
    let stage = Stage::with_builder(retries).await;
    let endpoint = stage.receiver.endpoint("/slow");
    let description = json!({"endpoint": endpoint.url(), "events": ["NOTIFICATION"], "ratePerSecond": RATE});
    let webhook = stage.brand.create_webhook_with(&description).await;
    endpoint.answer_each([Reply::status(503), Reply::ok()]);

    let events = stage.publish_many(EVENTS).await;

    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), TIMEOUT).await;
    let attempts = endpoint.count_by_event();
    let others: Vec<_> = attempts.iter().filter(|(_, attempts)| **attempts != 2).collect();
    assert!(others.is_empty(), "each failed attempt has exactly one retry: {others:?}");
}
