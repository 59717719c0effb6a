//! The backlog queue of a brand that does not answer, or refuses messages, delays only this brand.

use std::time::{Duration, Instant};

use e2e::WAIT_TIMEOUT;
use e2e::brand::Brand;
use e2e::event::{Event, ids};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::receiver::Endpoint;
use serde_json::json;

use crate::http_ingest::set_quotas;
use crate::{MAX_PUBLISHES_IN_FLIGHT, Stage};

/// More events than a router reads ahead.
const FLOOD: usize = 2500;
/// Events of the other brand, and how many its quota lets pass each second.
const OTHER_EVENTS: usize = 1500;
const OTHER_RATE: usize = 100;
/// Longest pause between the arrivals of two of them. Their quota lets a message of a hundred pass each second; behind a
/// silent queue each message would wait five seconds or more.
const MAX_PAUSE: Duration = Duration::from_secs(3);
/// Returns after which a message of a backlog is split.
const SUSPICIOUS_RETURNS: usize = 3;

/// Two brands over their quotas, on a broker of their own.
struct Scene {
    // Declared before the broker, so that it is dropped first and removes its queues.
    stage: Stage,
    broker: PrivateBroker,
    endpoint: Endpoint,
    other: Brand,
    other_endpoint: Endpoint,
}

impl Scene {
    async fn new() -> Self {
        let broker = PrivateBroker::start().await;
        let stage = Stage::with_builder(Platform::builder().broker(&broker.url())).await;
        let (endpoint, _) = stage.create_webhook("/failing").await;
        let other = stage.platform.create_brand("other").await;
        let other_endpoint = stage.receiver.endpoint("/other");
        other.create_webhook(other_endpoint.url(), &["NOTIFICATION"]).await;
        Self { stage, broker, endpoint, other, other_endpoint }
    }

    async fn publish(&self, events: &[Event]) {
        for some in events.chunks(MAX_PUBLISHES_IN_FLIGHT) {
            self.stage.platform.producer().await.publish_all(some).await;
        }
    }

    /// Publishes events of a brand with a quota of one event a second until this number waits in its backlog.
    async fn fill_backlog(&self, brand: &Brand, number: usize) -> Vec<Event> {
        set_quotas(brand, &json!({"eventsPerSecond": 1})).await;
        let mut events = Vec::new();
        let filling = async {
            while self.count_waiting(brand).await < i64::try_from(number).expect("a number") {
                let some = Event::sms_batch(&brand.id, 100);
                self.publish(&some).await;
                events.extend(some);
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, filling).await.expect("events wait");
        events
    }

    async fn count_waiting(&self, brand: &Brand) -> i64 {
        let brand =
            brand.support.get(&format!("/admin/v1/brands/{}", brand.id)).await.expect_status(200).json();
        brand["waiting"]["events"].as_i64().expect("a number")
    }

    fn backlog_queue(&self) -> String {
        format!("{}.backlog.acme", self.stage.platform.namespace)
    }

    async fn silence_backlog(&self) {
        self.broker.silence_queue(&self.backlog_queue()).await;
    }

    /// Lets the backlog queue refuse messages, while its own can be taken.
    async fn close_backlog(&self) {
        let refuse = json!({"max-length": 1, "overflow": "reject-publish"});
        let pattern = format!("^{}$", self.backlog_queue().replace('.', "\\."));
        self.broker.set_policy("refuse", &pattern, &refuse).await;
    }

    /// Publishes more events of the brand than a router reads ahead, and then one of another brand.
    async fn publish_flood(&self) -> Event {
        self.publish(&Event::sms_batch("acme", FLOOD)).await;
        let event = Event::sms(&self.other.id);
        self.publish(std::slice::from_ref(&event)).await;
        event
    }
}

#[tokio::test]
async fn a_brand_over_its_quota_whose_backlog_is_silent_does_not_stop_the_intake() {
    let scene = Scene::new().await;
    scene.fill_backlog(&scene.stage.brand, 100).await;
    scene.silence_backlog().await;
    let event = scene.publish_flood().await;
    scene.other_endpoint.wait_for_event(event.id()).await;
}

#[tokio::test]
async fn a_brand_over_its_quota_whose_backlog_refuses_does_not_stop_the_intake() {
    let scene = Scene::new().await;
    scene.fill_backlog(&scene.stage.brand, 100).await;
    scene.close_backlog().await;
    let event = scene.publish_flood().await;
    scene.other_endpoint.wait_for_event(event.id()).await;
}

#[tokio::test]
async fn a_silent_backlog_does_not_slow_down_the_backlog_of_another_brand() {
    let scene = Scene::new().await;
    scene.fill_backlog(&scene.stage.brand, 100).await;
    let events = scene.fill_backlog(&scene.other, OTHER_EVENTS + 100).await;
    scene.silence_backlog().await;
    let before = scene.other_endpoint.requests().len();
    set_quotas(&scene.other, &json!({"eventsPerSecond": OTHER_RATE})).await;
    let arrived = scene.other_endpoint.wait_for_requests(before + OTHER_EVENTS).await;
    let mut times: Vec<Instant> = arrived.iter().skip(before).map(|request| request.at).collect();
    times.sort_unstable();
    let mut pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    pauses.sort_unstable_by(|a, b| b.cmp(a));
    eprintln!("{} of {} events, the longest pauses {:?}", times.len(), events.len(), &pauses[..3]);
    // Each message would wait. A busy machine may stop the router once or twice.
    assert!(pauses[2] < MAX_PAUSE, "{:?}", &pauses[..3]);
}

/// Its events are handled one by one, and none of them is taken for a message that kills its consumer.
#[tokio::test]
async fn a_returned_message_that_cannot_be_split_is_not_quarantined() {
    let mut scene = Scene::new().await;
    let events = scene.fill_backlog(&scene.stage.brand, 100).await;
    scene.stage.platform.routers[0].terminate().await;
    scene.close_backlog().await;
    let rabbit = scene.stage.platform.rabbit().await;
    let depth = rabbit.queue_depth("backlog.acme").await.expect("a backlog");
    for _ in 0..SUSPICIOUS_RETURNS {
        rabbit.requeue_ready("backlog.acme").await;
        rabbit.wait_queue_depth("backlog.acme", depth).await;
    }
    set_quotas(&scene.stage.brand, &json!({"eventsPerSecond": null})).await;
    scene.stage.platform.routers[0].start();
    scene.stage.platform.routers[0].wait_ready().await;
    let arrived = scene.endpoint.wait_for_requests(events.len()).await;
    assert_eq!(
        arrived.iter().map(|request| request.event_id()).collect::<std::collections::BTreeSet<_>>(),
        ids(&events)
    );
    let router = &scene.stage.platform.routers[0];
    eventually("the log says so", WAIT_TIMEOUT, async || {
        let log = router.read_log();
        if log.contains("could not split a message") { Ok(()) } else { Err(router.log_tail()) }
    })
    .await;
    for queue in ["quarantine", "rejected"] {
        assert_eq!(scene.stage.platform.rabbit().await.queue_depth(queue).await, Some(0), "{queue}");
    }
}
