//! The events of one brand do not wait for the events of another one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::WAIT_TIMEOUT;
use e2e::brand::Brand;
use e2e::event::{Event, ids};
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::Process;
use e2e::producer::Producer;
use e2e::receiver::{Endpoint, Received};
use serde_json::json;

use crate::http_ingest::set_quotas;
use crate::{LONG_WAIT_TIMEOUT, MAX_PUBLISHES_IN_FLIGHT, Stage};

/// Longest time from the publish of an event to its arrival while another brand has a backlog. The goal is a second,
/// which `tests/isolation` measures; here the services are debug builds beside other tests. Behind the backlog it would
/// take several times as long.
const MAX_DELAY: Duration = Duration::from_secs(3);
/// The same while another brand publishes as fast as RabbitMQ confirms, beside the services on the same machine.
const MAX_FLOOD_DELAY: Duration = Duration::from_secs(8);
/// Time between two events of the brand with few events.
const VICTIM_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two batches that are published until a figure shows that events wait.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Webhooks of the brand with many events. They are disabled, so that the deliverer has no part in the test.
const LOUD_WEBHOOKS: usize = 30;
/// How long everything may take to arrive after the last crash.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(90);
/// Most memory that messages may take beside what the idle process has.
const MAX_ROUTER_BYTES: u64 = 256 * 1024 * 1024;

/// A brand with a backlog, and one with few events.
struct Contest {
    stage: Stage,
    victim: Brand,
    endpoint: Endpoint,
    /// Its own connection, because confirms come in the order of a channel.
    producer: Producer,
}

impl Contest {
    async fn new(routers: usize) -> Self {
        let builder = Platform::builder().routers(routers).unlimited_requests();
        let stage = Stage::with_builder(builder).await;
        for number in 0..LOUD_WEBHOOKS {
            let (_, webhook) = stage.create_webhook(&format!("/loud/{number}")).await;
            e2e::support::disable_webhook(&stage.brand.support, &webhook, "a test").await;
        }
        let victim = stage.platform.create_brand("victim").await;
        let endpoint = stage.receiver.endpoint("/victim");
        victim.create_webhook(endpoint.url(), &["NOTIFICATION"]).await;
        let platform = &stage.platform;
        let producer = Producer::connect(platform.amqp_url(), &platform.namespace).await.expect("the broker");
        Self { stage, victim, endpoint, producer }
    }

    /// Publishes one event of the victim, and returns how long it takes to arrive.
    async fn measure_victim(&self) -> Duration {
        let event = Event::sms(&self.victim.id);
        let published = Instant::now();
        self.producer.publish(&event).await;
        self.endpoint.wait_for_event(event.id()).await;
        published.elapsed()
    }

    async fn count_taken(&self) -> f64 {
        sum_metric(&self.stage.platform.routers, "postrider_events_total").await
    }

    /// Measures the victim until the routers have taken all events of the other brand, and returns the delays and how
    /// long that took.
    async fn measure_until_taken(&self, loud_events: usize) -> (Vec<Duration>, Duration) {
        let began = Instant::now();
        let mut delays = Vec::new();
        loop {
            delays.push(self.measure_victim().await);
            tokio::time::sleep(VICTIM_INTERVAL).await;
            #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
            if self.count_taken().await >= (loud_events + delays.len()) as f64 {
                return (delays, began.elapsed());
            }
        }
    }
}

async fn sum_metric(processes: &[Process], name: &str) -> f64 {
    let mut sum = 0.0;
    for process in processes {
        sum += process.read_metric(name).await;
    }
    sum
}

async fn publish_many(stage: &Stage, events: &[Event]) {
    for some in events.chunks(MAX_PUBLISHES_IN_FLIGHT) {
        stage.platform.producer().await.publish_all(some).await;
    }
}

/// An event behind the backlog of the other brand would take about as long as the backlog. A busy machine may stop each
/// process on the way for a second or two.
fn assert_undelayed((mut delays, took): (Vec<Duration>, Duration), max: Duration) {
    delays.sort_unstable();
    let (median, longest) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    eprintln!("{} events in {took:?}, median {median:?}, longest {longest:?}", delays.len());
    assert!(delays.len() > 10, "the other brand had a backlog for too short a time");
    assert!(median < max, "{median:?}");
    assert!(longest < max.max(took / 3), "{longest:?}");
}

#[tokio::test]
async fn a_flood_of_one_brand_delays_no_event_of_another() {
    let contest = Contest::new(2).await;
    let loud = Event::sms_batch("acme", 12_000);
    let (delays, ()) =
        tokio::join!(contest.measure_until_taken(loud.len()), publish_many(&contest.stage, &loud));
    assert_undelayed(delays, MAX_FLOOD_DELAY);
    let routers = &contest.stage.platform.routers;
    assert!(sum_metric(routers, "postrider_router_moved_events_total").await > 0.0);
    eventually("the backlog is empty by its figures", WAIT_TIMEOUT, async || {
        match contest.stage.platform.routers[0].read_metric("postrider_router_backlog_events").await {
            0.0 => Ok(()),
            some => Err(some.to_string()),
        }
    })
    .await;
}

/// A few requests are enough, because each event is delivered to many webhooks.
#[tokio::test]
async fn the_fan_out_of_one_brand_delays_no_event_of_another() {
    let contest = Contest::new(1).await;
    let loud = Event::sms_batch("acme", 6000);
    publish_many(&contest.stage, &loud).await;
    assert_undelayed(contest.measure_until_taken(loud.len()).await, MAX_DELAY);
}

#[tokio::test]
async fn a_router_killed_while_it_moves_and_drains_loses_and_invents_nothing() {
    let mut stage = Stage::with_builder(Platform::builder().routers(2)).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let named = |n: usize| Event::sms("acme").message_id(&format!("order-{n}")).data(&n.to_string());
    let unnamed: Vec<_> = (0..2000).map(named).collect();
    let events = Event::sms_batch("acme", 4000);
    stage.platform.routers.iter_mut().for_each(Process::kill);
    publish_many(&stage, &events).await;
    publish_many(&stage, &unnamed).await;
    for router in &mut stage.platform.routers {
        router.start();
    }
    for router in &mut stage.platform.routers {
        router.wait_ready().await;
    }
    // One of them may move all events.
    eventually("a router moves events", WAIT_TIMEOUT, async || {
        match sum_metric(&stage.platform.routers, "postrider_router_moved_events_total").await {
            0.0 => Err("none yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    for crash in 0..4 {
        let router = &mut stage.platform.routers[crash % 2];
        router.wait_ready().await;
        router.crash_and_restart().await;
    }
    let mut oracle = Oracle::new(&stage.platform);
    oracle.owed = ids(&events);
    oracle.sent = ids(&events);
    let arrived = endpoint
        .wait_until("all events arrive", LONG_WAIT_TIMEOUT, |all| {
            if all.len() < 6000 {
                return false;
            }
            let data: BTreeSet<_> = all.iter().map(|request| request.json()["data"].to_string()).collect();
            let seen: BTreeSet<_> = all.iter().map(|request| request.event_id()).collect();
            oracle.owed.is_subset(&seen) && (0..2000).all(|n| data.contains(&n.to_string()))
        })
        .await;
    let seen: BTreeSet<_> = arrived.iter().map(|request| request.event_id()).collect();
    assert_eq!(seen.len(), 6000, "each event has one id");
    stage.brand.wait_listed(&webhook, "status=delivered", &seen, RECOVERY_TIMEOUT).await;
    assert_eq!(stage.platform.rabbit().await.queue_depth("rejected").await, Some(0));
}

/// Over AMQP nothing is refused: the surplus waits where support sees it, and goes on as soon as support allows more.
#[tokio::test]
async fn events_over_a_quota_wait_in_the_backlog_of_their_brand() {
    let stage = Stage::with_builder(Platform::builder().routers(2)).await;
    let (endpoint, _) = stage.create_webhook("/limited").await;
    let victim = stage.platform.create_brand("victim").await;
    let unlimited = stage.receiver.endpoint("/unlimited");
    victim.create_webhook(unlimited.url(), &["NOTIFICATION"]).await;
    set_quotas(&stage.brand, &json!({"eventsPerSecond": 1})).await;
    let waiting = async || {
        let brand = stage.brand.support.get("/admin/v1/brands/acme").await.expect_status(200).json();
        brand["waiting"]["events"].as_i64().expect("a number")
    };
    // The first ones may be routed before the routers know the quota.
    let mut events = Vec::new();
    let publishing = async {
        while waiting().await < 500 {
            let some = Event::sms_batch("acme", 50);
            publish_many(&stage, &some).await;
            events.extend(some);
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, publishing).await.expect("support sees events waiting");
    let event = Event::sms("victim");
    stage.platform.producer().await.publish(&event).await;
    unlimited.wait_for_event(event.id()).await;
    let arrived = endpoint.requests().len();
    assert!(arrived < events.len() - 100, "{arrived} arrived in spite of the quota");
    set_quotas(&stage.brand, &json!({"eventsPerSecond": null})).await;
    let all = |all: &[Arc<Received>]| all.len() >= events.len();
    let arrived = endpoint.wait_until("all events arrive", LONG_WAIT_TIMEOUT, all).await;
    let seen: BTreeSet<_> = arrived.iter().map(|request| request.event_id()).collect();
    assert_eq!(seen, ids(&events));
    eventually("nothing waits", WAIT_TIMEOUT, async || match waiting().await {
        0 => Ok(()),
        some => Err(some.to_string()),
    })
    .await;
}

/// A step back to a version that does not know the backlogs.
#[tokio::test]
async fn a_router_that_only_empties_backlogs_ends_with_nothing_left_in_them() {
    let mut stage = Stage::with_builder(Platform::builder()).await;
    let (endpoint, _) = stage.create_webhook("/limited").await;
    set_quotas(&stage.brand, &json!({"eventsPerSecond": 1})).await;
    let mut events = Vec::new();
    let moving = async {
        while stage.platform.routers[0].read_metric("postrider_router_moved_events_total").await < 200.0 {
            let some = Event::sms_batch("acme", 50);
            publish_many(&stage, &some).await;
            events.extend(some);
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, moving).await.expect("events are moved");
    let router = &mut stage.platform.routers[0];
    router.terminate().await;
    router.set("POSTRIDER_EMPTY_BACKLOGS", "true");
    router.start();
    router.wait_ready().await;
    let more = Event::sms_batch("acme", 2000);
    publish_many(&stage, &more).await;
    events.extend(more);
    let all = |all: &[Arc<Received>]| all.len() >= events.len();
    let arrived = endpoint.wait_until("all events arrive", LONG_WAIT_TIMEOUT, all).await;
    let seen: BTreeSet<_> = arrived.iter().map(|request| request.event_id()).collect();
    assert_eq!(seen, ids(&events), "in spite of the quota");
    let moved = stage.platform.routers[0].read_metric("postrider_router_moved_events_total").await;
    assert!(moved < 0.5, "{moved} events were moved");
    stage.platform.rabbit().await.wait_queue_depth("backlog.acme", 0).await;
}

/// Messages that wait when the router starts, in the sizes that took it to more than a gigabyte.
#[tokio::test]
async fn large_messages_do_not_take_the_memory_of_the_router() {
    let mut stage = Stage::with_builder(Platform::builder().deliverers(0)).await;
    for number in 0..4 {
        stage.create_webhook(&format!("/hook/{number}")).await;
    }
    let router = &mut stage.platform.routers[0];
    let idle = router.read_memory().now;
    router.kill();
    let producer = stage.platform.producer().await;
    let large = vec![b'x'; 15 * 1024 * 1024];
    for _ in 0..20 {
        producer.publish_raw("NOTIFICATION", &large, None).await.expect("a confirm");
    }
    let text = format!("\"{}\"", "x".repeat(250_000));
    for _ in 0..200 {
        producer.publish(&Event::sms("acme").data(&text)).await;
    }
    let router = &mut stage.platform.routers[0];
    router.start();
    router.wait_ready().await;
    eventually("all messages are handled", RECOVERY_TIMEOUT, async || {
        match router.read_metric("postrider_events_total").await {
            some if some >= 220.0 => Ok(()),
            some => Err(some.to_string()),
        }
    })
    .await;
    let peak = router.read_memory().peak;
    eprintln!("idle {} MiB, peak {} MiB", idle >> 20, peak >> 20);
    assert!(peak < idle + MAX_ROUTER_BYTES, "idle {idle}, peak {peak}");
}
