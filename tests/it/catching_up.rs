//! The whole of an outage, as an endpoint owner lives through it (contract §4).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::event::{ids, time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::ports::Port;
use e2e::receiver::Receiver;
use serde_json::{Value, json};

use crate::{LONG_WAIT_TIMEOUT, Stage};

const MINUTE: Duration = Duration::from_secs(60);
const EVENTS: usize = 10_000;

fn attempts_by_event(listed: &[Value]) -> BTreeMap<String, u64> {
    let id = |item: &Value| item["id"].as_str().expect("an id").to_owned();
    listed.iter().map(|item| (id(item), item["delivery"]["attempts"].as_u64().unwrap_or(0))).collect()
}

#[tokio::test]
async fn ten_thousand_events_of_an_outage_all_arrive_when_redelivered() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let port = Port::reserve();
    let down = format!("https://localhost:{}/hook", port.number());
    let webhook = stage.brand.create_webhook(&down, &["NOTIFICATION"]).await;
    let began = Instant::now();
    let from = time_ago(MINUTE);
    let events = stage.publish_many(EVENTS).await;
    stage.brand.wait_listed(&webhook, "", &ids(&events), LONG_WAIT_TIMEOUT).await;
    stage.brand.wait_no_events(&webhook, "status=pending", LONG_WAIT_TIMEOUT).await;
    stage.wait_settled(&webhook, "failed", &events).await;
    let before = attempts_by_event(&stage.brand.list_events(&webhook, "").await);
    eprintln!("{EVENTS} events failed within {:?}", began.elapsed());

    let receiver = Receiver::start_on(&stage.platform.authority, &port).await;
    let endpoint = receiver.endpoint("/hook");
    let began = Instant::now();
    let range = json!({"from": from, "to": time_ahead(MINUTE), "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    assert_eq!(job.json["queued"], EVENTS);
    let done = stage.brand.wait_job_finished(&job).await;
    eprintln!("{EVENTS} events were redelivered within {:?}", began.elapsed());

    for field in ["total", "attempted", "delivered"] {
        assert_eq!(done[field], EVENTS, "{field} of {done}");
    }
    stage.wait_settled(&webhook, "delivered", &events).await;
    let counted = endpoint.count_by_event();
    let after = attempts_by_event(&stage.brand.list_events(&webhook, "").await);
    assert!(counted.keys().eq(&ids(&events)), "{} of {EVENTS} arrived", counted.len());
    let disagreeing: Vec<_> =
        counted.iter().filter(|(id, times)| before[*id] + **times != after[*id]).take(5).collect();
    assert!(disagreeing.is_empty(), "the listing has other counts: {disagreeing:?}");
}
