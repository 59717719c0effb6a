//! The rate of old and new events (contract §4). These tests run alone because they measure time.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use e2e::WAIT_TIMEOUT;
use e2e::event::{Event, SMS, time_ago, time_ahead};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::receiver::Endpoint;
use e2e::script::Reply;
use serde_json::json;

use crate::{LONG_WAIT_TIMEOUT, Stage};

const HOUR: Duration = Duration::from_secs(3600);
/// Old events that are redelivered while new ones arrive.
const OLD_EVENTS: usize = 3000;
/// New events whose latency is measured.
const NEW_EVENTS: usize = 40;
/// Time between two of them.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(25);

/// Measures how long new events take from publish to arrival, sorted. It publishes a fixed number of them,
/// and more until `over` is true.
async fn measure_latencies(
    stage: &Stage,
    endpoint: &Endpoint,
    over: impl AsyncFn() -> bool,
) -> Vec<Duration> {
    let mut published = Vec::new();
    while published.len() < NEW_EVENTS || !over().await {
        let event = Event::sms("acme");
        published.push((event.id().to_owned(), Instant::now()));
        stage.publish_event(&event).await;
        tokio::time::sleep(PUBLISH_INTERVAL).await;
    }
    let (last, _) = published.last().expect("an event");
    endpoint.wait_for_event(last).await;
    let wanted: BTreeSet<_> = published.iter().map(|(id, _)| id.clone()).collect();
    let all = endpoint
        .wait_until("the new events arrive", LONG_WAIT_TIMEOUT, |all| {
            wanted.is_subset(&all.iter().map(|request| request.event_id()).collect())
        })
        .await;
    // The first request of each: a map keeps the last.
    let arrived: HashMap<_, _> = all.iter().rev().map(|request| (request.event_id(), request.at)).collect();
    let mut latencies: Vec<_> = published.iter().map(|(id, at)| arrived[id] - *at).collect();
    latencies.sort();
    latencies
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[tokio::test]
async fn thousands_of_redeliveries_do_not_delay_new_events() {
    let stage = Stage::with_builder(Platform::builder().without_health_rule()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let began = Instant::now();
    stage.deliver_many(&webhook, OLD_EVENTS).await;
    eprintln!("{OLD_EVENTS} events arrived within {:?}", began.elapsed());
    endpoint.always(Reply::ok().after(Duration::from_millis(10)));
    let alone = measure_latencies(&stage, &endpoint, async || true).await;

    let before = endpoint.requests().len();
    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    let began = Instant::now();
    endpoint.wait_for_requests(before + 100).await;
    let finished = async || stage.brand.read_progress(&job).await["state"] == "finished";
    let together = measure_latencies(&stage, &endpoint, finished).await;
    assert!(together.len() > NEW_EVENTS, "the range was over too soon to show anything");

    for (what, sorted) in [("alone", &alone), ("together", &together)] {
        let [half, most] = [50, 90].map(|percent| percentile(sorted, percent));
        eprintln!("new events {what}: p50 {half:?}, p90 {most:?}, max {:?}", sorted[sorted.len() - 1]);
    }
    eprintln!("{OLD_EVENTS} old events were redelivered within {:?}", began.elapsed());
    // A machine that stalls for a moment delays some events; a backlog of thousands would delay all of them.
    let allowed = 10 * percentile(&alone, 50) + Duration::from_millis(500);
    assert!(percentile(&together, 50) <= allowed, "{together:?} beside {alone:?}");
}

/// Returns the largest number of these times, which are in order, within a span of this length.
fn max_within(times: &[Instant], span: Duration) -> usize {
    let within = |n: usize| times[n..].iter().take_while(|at| **at - times[n] < span).count();
    (0..times.len()).map(within).max().unwrap_or(0)
}

#[tokio::test]
async fn two_deliverers_together_keep_a_webhooks_rate() {
    const RATE: usize = 20;
    let stage = Stage::with_builder(Platform::builder().deliverers(2)).await;
    let endpoint = stage.receiver.endpoint("/hook");
    let webhook = json!({"endpoint": endpoint.url(), "events": [SMS]});
    let webhook = stage.brand.create_webhook_with(&webhook).await;
    let old = stage.deliver_many(&webhook, 60).await.len();
    stage.brand.patch_webhook(&webhook, &json!({"ratePerSecond": RATE})).await;
    eventually("the rate is in force", WAIT_TIMEOUT, async || {
        let before = endpoint.requests().len();
        stage.publish_many(2 * RATE).await;
        let requests = endpoint.wait_for_requests(before + 2 * RATE).await;
        let times: Vec<_> = requests[before..].iter().map(|request| request.at).collect();
        let most = max_within(&times, Duration::from_secs(1));
        if most <= RATE + RATE / 10 + 2 { Ok(()) } else { Err(format!("{most} within a second")) }
    })
    .await;
    let settled = endpoint.requests().len();

    let range = json!({"from": time_ago(HOUR), "to": time_ahead(HOUR), "type": SMS, "status": "all"});
    let job = stage.brand.redeliver_range(&webhook, &range).await;
    stage.publish_many(30).await;
    stage.brand.wait_job_finished(&job).await;
    stage.brand.wait_no_events(&webhook, "status=pending", LONG_WAIT_TIMEOUT).await;

    let requests = endpoint.requests().split_off(settled);
    let times: Vec<_> = requests.iter().map(|request| request.at).collect();
    assert!(times.len() >= old + 2 * RATE + 30, "{} requests", times.len());
    // Two seconds allow two seconds' worth of requests, and one second's worth as a burst.
    let most = max_within(&times, Duration::from_secs(2));
    eprintln!("at most {most} requests in two seconds at {RATE} a second; {} requests", times.len());
    assert!(most <= 3 * RATE + 2, "{most} requests in two seconds");
}
