//! The whole of an outage, as an endpoint owner lives through it (contract §4).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use e2e::event::{ids, time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::ports::Port;
use e2e::receiver::Receiver;
use serde_json::{Value, json};

use crate::{LONG_PATIENCE, Stage};

const MINUTE: Duration = Duration::from_secs(60);
const EVENTS: usize = 10_000;

fn attempts(listed: &[Value]) -> BTreeMap<String, u64> {
    let id = |item: &Value| item["id"].as_str().expect("an id").to_owned();
    listed.iter().map(|item| (id(item), item["delivery"]["attempts"].as_u64().unwrap_or(0))).collect()
}

#[tokio::test]
async fn ten_thousand_events_of_an_outage_all_arrive_when_they_are_sent_again() {
    let stage = Stage::with(Platform::builder().one_attempt().never_disabled()).await;
    let port = Port::take();
    let down = format!("https://localhost:{}/hook", port.number());
    let webhook = stage.brand.webhook(&down, &["NOTIFICATION"]).await;
    let began = Instant::now();
    let from = time_ago(MINUTE);
    let events = stage.published(EVENTS).await;
    stage.brand.wait_listed(&webhook, "", &ids(&events), LONG_PATIENCE).await;
    stage.brand.wait_none(&webhook, "status=pending", LONG_PATIENCE).await;
    stage.settled(&webhook, "failed", &events).await;
    let before = attempts(&stage.brand.events(&webhook, "").await);
    eprintln!("{EVENTS} events failed within {:?}", began.elapsed());

    let receiver = Receiver::start_on(&stage.platform.authority, &port).await;
    let endpoint = receiver.endpoint("/hook");
    let began = Instant::now();
    let range = json!({"from": from, "to": time_ahead(MINUTE)});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    assert_eq!(job.json["queued"], EVENTS);
    let done = stage.brand.wait_finished(&job).await;
    eprintln!("{EVENTS} events were sent again within {:?}", began.elapsed());

    for field in ["total", "attempted", "delivered"] {
        assert_eq!(done[field], EVENTS, "{field} of {done}");
    }
    stage.settled(&webhook, "delivered", &events).await;
    let counted = endpoint.counts();
    let after = attempts(&stage.brand.events(&webhook, "").await);
    assert!(counted.keys().eq(&ids(&events)), "{} of {EVENTS} arrived", counted.len());
    let disagreeing: Vec<_> =
        counted.iter().filter(|(id, times)| before[*id] + **times != after[*id]).take(5).collect();
    assert!(disagreeing.is_empty(), "the listing has other counts: {disagreeing:?}");
}
