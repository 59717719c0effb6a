//! The platform disables a webhook at the thresholds of the health rule and not one attempt before
//! (contract §5).

use std::time::Duration;

use e2e::brand::{Webhook, put_type};
use e2e::database;
use e2e::event::Event;
use e2e::platform::{Builder, Platform};

use e2e::receiver::Endpoint;
use e2e::script::Reply;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::Stage;

/// Seconds on the clocks of the deliverers, within the window of an hour, and more than the five sixths of it
/// that must lie between the first and the last failure.
const LATER: i64 = 51 * 60;

/// A webhook with an event type of its own, so that a test decides the result of each attempt.
struct Subject {
    event_type: String,
    endpoint: Endpoint,
    webhook: Webhook,
}

impl Subject {
    async fn new(stage: &Stage, name: &str) -> Self {
        let event_type = format!("NOTIFICATION.{name}");
        put_type(&stage.brand.support, &event_type, &json!({"description": "A test type"})).await;
        let endpoint = stage.receiver.endpoint(&format!("/{name}"));
        let webhook = stage.brand.create_webhook(endpoint.url(), &[&event_type]).await;
        Self { event_type, endpoint, webhook }
    }

    /// Publishes this number of events, each with one attempt that ends like this.
    async fn publish_attempts(&self, stage: &Stage, reply: Reply, number: usize) -> Vec<Event> {
        self.endpoint.always(reply);
        let events: Vec<_> = (0..number).map(|_| Event::new("acme", &self.event_type)).collect();
        stage.platform.producer().await.publish_all(&events).await;
        join_all(events.iter().map(|event| stage.brand.wait_attempts(&self.webhook, event.id(), 1))).await;
        events
    }

    async fn publish_failures(&self, stage: &Stage, number: usize) {
        self.publish_attempts(stage, Reply::status(500), number).await;
    }

    async fn publish_successes(&self, stage: &Stage, number: usize) {
        self.publish_attempts(stage, Reply::ok(), number).await;
    }

    /// Publishes this number of events one after the other, whose deliveries end `failed`.
    async fn publish_failed_deliveries(&self, stage: &Stage, number: usize) {
        for _ in 0..number {
            let event = self.publish_attempts(stage, Reply::status(500), 1).await.remove(0);
            stage.brand.wait_delivery_status(&self.webhook, event.id(), "failed").await;
        }
    }

    async fn assert_active(&self, stage: &Stage) {
        let read = stage.brand.read_webhook(&self.webhook).await;
        assert_eq!(read["status"], "active", "{read}");
        assert_eq!(read["disabled"], Value::Null, "{read}");
    }

    /// Waits until it is disabled for this reason after this number of requests; the detail contains the
    /// numbers.
    async fn assert_disabled(&self, stage: &Stage, reason: &str, requests: usize, numbers: &[&str]) {
        let read = stage.brand.wait_webhook_status(&self.webhook, "disabled").await;
        assert_eq!(read["disabled"]["reason"], reason, "{read}");
        let detail = read["disabled"]["detail"].as_str().unwrap_or_else(|| panic!("no detail in {read}"));
        for wanted in numbers {
            let is_there = detail.split(|c: char| !c.is_ascii_digit()).any(|number| number == *wanted);
            assert!(is_there, "{wanted} is not in {detail:?}");
        }
        assert_eq!(self.endpoint.requests().len(), requests, "{detail}");
        assert_eq!(read["enabled"], false, "{read}");
    }
}

/// Configures `failing` at 10 attempts with 90 % failures; a delivery has one attempt.
fn failing_rule() -> Builder {
    Platform::builder()
        .one_attempt()
        .unlimited_requests()
        .set("POSTRIDER_HEALTH_MIN_ATTEMPTS", "10")
        .set("POSTRIDER_HEALTH_FAILED_DELIVERIES", "1000000")
}

/// Configures `unresponsive` at 3 deliveries in a row.
fn unresponsive_rule() -> Builder {
    Platform::builder()
        .one_attempt()
        .set("POSTRIDER_HEALTH_MIN_ATTEMPTS", "1000000")
        .set("POSTRIDER_HEALTH_FAILED_DELIVERIES", "3")
}

/// Stops each deliverer and starts it again, as an update of the platform does.
async fn restart_deliverers(stage: &mut Stage) {
    for deliverer in &mut stage.platform.deliverers {
        let _ = deliverer.terminate().await;
        deliverer.start();
        deliverer.wait_ready().await;
    }
}

/// Both thresholds at once, since each takes the length of a window.
#[tokio::test]
async fn failing_disables_at_its_threshold_across_replicas_and_restarts() {
    let mut stage = Stage::with_builder(failing_rule().deliverers(2)).await;
    let few = Subject::new(&stage, "FEW").await;
    let some = Subject::new(&stage, "SOME").await;
    tokio::join!(few.publish_failures(&stage, 1), some.publish_failures(&stage, 1));
    few.publish_failures(&stage, 7).await;
    some.publish_failures(&stage, 14).await;
    some.publish_successes(&stage, 2).await;
    database::let_time_pass(&stage.platform.database_url(), LATER).await;
    restart_deliverers(&mut stage).await;

    // 9 of 9 attempts failed, one too few; 17 of 19 are 89 %.
    tokio::join!(few.publish_failures(&stage, 1), some.publish_failures(&stage, 2));
    few.assert_active(&stage).await;
    some.assert_active(&stage).await;
    // 10 of 10 attempts failed; 18 of 20 are 90 %.
    tokio::join!(few.publish_failures(&stage, 1), some.publish_failures(&stage, 1));

    few.assert_disabled(&stage, "failing", 10, &["10"]).await;
    some.assert_disabled(&stage, "failing", 20, &["18", "20"]).await;
}

#[tokio::test]
async fn an_outage_shorter_than_the_window_disables_nothing() {
    let stage = Stage::with_builder(failing_rule()).await;
    let subject = Subject::new(&stage, "BRIEF").await;
    subject.publish_failures(&stage, 40).await;
    subject.publish_successes(&stage, 1).await;
    subject.assert_active(&stage).await;
    assert_eq!(subject.endpoint.requests().len(), 41);
}

#[tokio::test]
async fn failures_older_than_the_window_do_not_count() {
    let stage = Stage::with_builder(failing_rule().set("POSTRIDER_HEALTH_WINDOW", "6s")).await;
    let subject = Subject::new(&stage, "OLD").await;
    subject.publish_failures(&stage, 5).await;
    // Five more failures, after the first ones have left the window. The clock of a service may be ahead by a second.
    tokio::time::sleep(Duration::from_millis(7600)).await;
    subject.publish_failures(&stage, 5).await;
    subject.publish_successes(&stage, 1).await;
    subject.assert_active(&stage).await;
}

#[tokio::test]
async fn unresponsive_disables_at_its_threshold() {
    let stage = Stage::with_builder(unresponsive_rule()).await;
    let subject = Subject::new(&stage, "DEAF").await;
    subject.publish_failed_deliveries(&stage, 2).await;
    subject.publish_successes(&stage, 1).await;
    // After a success in between the count starts again.
    subject.publish_failed_deliveries(&stage, 2).await;
    subject.assert_active(&stage).await;
    subject.publish_failed_deliveries(&stage, 1).await;
    subject.assert_disabled(&stage, "unresponsive", 6, &["3"]).await;
}

#[tokio::test]
async fn failed_deliveries_are_counted_across_replicas_and_crashes() {
    let mut stage = Stage::with_builder(unresponsive_rule().deliverers(2)).await;
    let subject = Subject::new(&stage, "DEAF").await;
    subject.publish_failed_deliveries(&stage, 1).await;
    stage.platform.deliverers[0].crash_and_restart().await;
    subject.publish_failed_deliveries(&stage, 1).await;
    stage.platform.deliverers[1].crash_and_restart().await;
    subject.assert_active(&stage).await;
    subject.publish_failed_deliveries(&stage, 1).await;
    subject.assert_disabled(&stage, "unresponsive", 3, &["3"]).await;
}

#[tokio::test]
async fn a_deliverer_restart_under_load_does_not_count_as_failure() {
    let mut stage = Stage::with_builder(unresponsive_rule().deliverers(2)).await;
    let subject = Subject::new(&stage, "FINE").await;
    subject.endpoint.always(Reply::ok().after(Duration::from_millis(300)));
    for _ in 0..2 {
        let events: Vec<_> = (0..40).map(|_| Event::new("acme", &subject.event_type)).collect();
        stage.platform.producer().await.publish_all(&events).await;
        restart_deliverers(&mut stage).await;
        for event in &events {
            stage.brand.wait_delivery_status(&subject.webhook, event.id(), "delivered").await;
        }
    }
    subject.assert_active(&stage).await;
    let failed = stage.brand.list_events(&subject.webhook, "status=failed").await;
    assert_eq!(failed, [] as [Value; 0]);
}

#[tokio::test]
async fn a_failing_webhook_does_not_affect_the_brands_others() {
    let stage = Stage::with_builder(unresponsive_rule()).await;
    let bad = Subject::new(&stage, "BAD").await;
    let (good, webhook) = stage.create_webhook("/good").await;
    bad.publish_failed_deliveries(&stage, 3).await;
    bad.assert_disabled(&stage, "unresponsive", 3, &["3"]).await;

    let event = Event::new("acme", &bad.event_type);
    stage.publish_event(&event).await;

    good.wait_for_event(event.id()).await;
    stage.brand.wait_no_events(&webhook, "status=pending", e2e::WAIT_TIMEOUT).await;
    let read = stage.brand.read_webhook(&webhook).await;
    assert_eq!((&read["status"], good.requests().len()), (&json!("active"), 4), "{read}");
}
