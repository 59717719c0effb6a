//! Messages that wait in every queue while the processes are replaced.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, put_type};
use e2e::event::{Event, SMS, ids};
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::receiver::Endpoint;
use e2e::script::Reply;
use e2e::support::{self, wait_rejected};
use serde_json::json;

use super::{PUBLISH_INTERVAL, SOME, previous_binaries, replace_process};
use crate::Stage;

/// The second delay is long, so that deliveries are in its queue when the first process is replaced.
const RETRIES: &str =
    "1s,30s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s,1s";
/// The queue of the long delay.
const LONG_WAIT: &str = "wait.30s";
/// How long everything may take to arrive after the last change.
const CONVERGENCE_TIMEOUT: Duration = Duration::from_secs(120);
/// The type of the events for an endpoint that hangs, which are more than the deliverer has in hand, eight in
/// a message.
const HANGING: &str = "NOTIFICATION.HANGING";
const HANGING_EVENTS: usize = 1000;
/// The type of the events for an endpoint that fails.
const FAILING: &str = "NOTIFICATION.FAILING";
/// The type of the events whose webhook has lost the binding of its queue.
const UNBOUND: &str = "NOTIFICATION.UNBOUND";
/// A type that is unknown before the upgrade.
const LATER: &str = "NOTIFICATION.LATER";

/// A webhook with a type of its own, and the events that were published for it.
struct Subscriber {
    endpoint: Endpoint,
    webhook: Webhook,
    event_type: &'static str,
    published: BTreeSet<String>,
}

impl Subscriber {
    async fn create(stage: &Stage, path: &str, event_type: &'static str) -> Self {
        if event_type != SMS {
            put_type(&stage.brand.support, event_type, &json!({"description": "of the upgrade"})).await;
        }
        let endpoint = stage.receiver.endpoint(path);
        let webhook = stage.brand.create_webhook(endpoint.url(), &[event_type]).await;
        Self { endpoint, webhook, event_type, published: BTreeSet::new() }
    }

    fn queue(&self) -> String {
        format!("webhook.{}", self.webhook.id)
    }

    async fn publish(&mut self, stage: &Stage, number: usize) {
        let events: Vec<Event> = (0..number).map(|_| Event::new("acme", self.event_type)).collect();
        stage.platform.producer().await.publish_all(&events).await;
        self.published.extend(ids(&events));
    }

    /// Asserts that exactly the published events are delivered.
    async fn assert_has_all(&self, stage: &Stage) {
        let webhook = &self.webhook;
        let published = &self.published;
        stage.brand.wait_listed(webhook, "status=delivered", published, CONVERGENCE_TIMEOUT).await;
        assert!(
            self.endpoint.count_by_event().keys().eq(published),
            "{} got what it is not owed",
            self.event_type
        );
    }
}

/// The subscribers beside the steady load's.
struct Subscribers {
    hanging: Subscriber,
    failing: Subscriber,
    unbound: Subscriber,
}

impl Subscribers {
    async fn create(stage: &Stage) -> Self {
        let subscribers = Self {
            hanging: Subscriber::create(stage, "/hanging", HANGING).await,
            failing: Subscriber::create(stage, "/failing", FAILING).await,
            unbound: Subscriber::create(stage, "/unbound", UNBOUND).await,
        };
        subscribers.hanging.endpoint.always(Reply::Hang);
        subscribers.failing.endpoint.always(Reply::status(500));
        subscribers
    }

    /// Leaves messages in the webhooks' queues, the delay queues, the queue of rejected messages and the
    /// queue of unrouted deliveries. The deliverers are stopped then; otherwise they would forward the
    /// unrouted ones.
    async fn wait_in_queues(&mut self, stage: &mut Stage, later: &[Event]) {
        self.hanging.publish(stage, HANGING_EVENTS).await;
        self.failing.publish(stage, SOME).await;
        stage.platform.producer().await.publish_all(later).await;
        let invalid = stage.platform.producer().await.publish_raw("SOME.KEY", b"not JSON", None).await;
        invalid.expect("a confirm");
        wait_rejected(&stage.brand.support, later.len() + 1).await;
        wait_any_message(stage, &[&self.hanging.queue()]).await;
        wait_any_message(stage, &[LONG_WAIT]).await;
        for deliverer in &mut stage.platform.deliverers {
            deliverer.terminate().await;
        }
        let rabbit = stage.platform.rabbit().await;
        rabbit.unbind_queue("deliveries", &self.unbound.queue(), &self.unbound.webhook.id).await;
        self.unbound.publish(stage, SOME).await;
        wait_any_message(stage, &["unrouted"]).await;
    }
}

/// Waits until the first of these queues that exists holds a message.
async fn wait_any_message(stage: &Stage, queues: &[&str]) {
    let rabbit = stage.platform.rabbit().await;
    eventually(&format!("messages wait in {queues:?}"), WAIT_TIMEOUT, async || {
        for queue in queues {
            match rabbit.queue_depth(queue).await {
                Some(1..) => return Ok(()),
                Some(0) => return Err(format!("{queue} is empty")),
                None => {}
            }
        }
        Err("it is not there".to_owned())
    })
    .await;
}

/// An upgrade finds messages in every queue, and nothing is published to the previous release's queues any
/// more.
#[tokio::test]
async fn messages_that_wait_in_every_queue_arrive_after_the_upgrade() {
    let builder = Platform::builder().apis(2).routers(2).deliverers(2).retries(RETRIES).without_health_rule();
    let mut platform = builder.set("POSTRIDER_REQUEST_TIMEOUT", "2s").prepare().await;
    let previous = previous_binaries();
    platform.processes_mut().for_each(|process| process.use_binaries_from(previous.as_deref()));
    platform.start_all().await;
    let mut stage = Stage::on_platform(platform).await;
    let mut steady = Subscriber::create(&stage, "/steady", SMS).await;
    let mut others = Subscribers::create(&stage).await;
    let later: Vec<Event> = (0..3).map(|_| Event::new("acme", LATER)).collect();
    others.wait_in_queues(&mut stage, &later).await;

    let mut oracle = Oracle::new(&stage.platform);
    let replaced = AtomicBool::new(false);
    let publishing = async {
        while !replaced.load(Ordering::Relaxed) {
            oracle.publish(&Event::sms_batch("acme", SOME), PUBLISH_INTERVAL).await;
        }
    };
    tokio::join!(publishing, async {
        replace_all(&mut stage, &steady.endpoint).await;
        replaced.store(true, Ordering::Relaxed);
    });

    steady.published = oracle.owed;
    others.hanging.endpoint.always(Reply::ok());
    others.failing.endpoint.always(Reply::ok());
    for subscriber in [&steady, &others.hanging, &others.failing, &others.unbound] {
        subscriber.assert_has_all(&stage).await;
    }
    republish_rejected(&stage, &later).await;
    let rabbit = stage.platform.rabbit().await;
    eventually("the routers' queue of the previous release is gone", WAIT_TIMEOUT, async || {
        rabbit.queue_depth("router").await.map_or(Ok(()), |depth| Err(format!("it holds {depth} messages")))
    })
    .await;
    rabbit.wait_queue_depth("unrouted", 0).await;
}

/// Replaces all processes, one after the other, while the previous release still runs beside the new one. The
/// routers return to events that waited for them.
async fn replace_all(stage: &mut Stage, steady: &Endpoint) {
    for router in &mut stage.platform.routers {
        router.terminate().await;
    }
    wait_any_message(stage, &["router", "ingest"]).await;
    let platform = &mut stage.platform;
    for api in &mut platform.apis {
        replace_process(api).await;
    }
    // The first process of each is new, and the second is still of the previous release.
    for process in [&mut platform.routers[0], &mut platform.deliverers[0]] {
        process.use_binaries_from(None);
    }
    for process in platform.routers.iter_mut().chain(&mut platform.deliverers) {
        process.start();
    }
    for process in platform.routers.iter_mut().chain(&mut platform.deliverers) {
        process.wait_ready().await;
    }
    for process in [&mut platform.routers[1], &mut platform.deliverers[1]] {
        let arrived = steady.requests().len();
        steady.wait_for_requests(arrived + SOME).await;
        replace_process(process).await;
    }
    let arrived = steady.requests().len();
    steady.wait_for_requests(arrived + SOME).await;
}

/// Republishes the messages that the previous release rejected, which arrive once their type is known.
async fn republish_rejected(stage: &Stage, later: &[Event]) {
    let subscriber = Subscriber::create(stage, "/later", LATER).await;
    eventually("the rejected events arrive", WAIT_TIMEOUT, async || {
        if subscriber.endpoint.count_by_event().keys().eq(&ids(later)) {
            return Ok(());
        }
        support::republish_rejected(&stage.brand.support, json!({})).await;
        Err(format!("{} have", subscriber.endpoint.count_by_event().len()))
    })
    .await;
    wait_rejected(&stage.brand.support, 1).await;
}
