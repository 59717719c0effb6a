//! SIGTERM: what is in flight is finished, and the rest is left to other replicas (contract §7).

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use e2e::WAIT_TIMEOUT;
use e2e::event::{Event, ids};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::Process;
use e2e::script::{Gate, Reply};
use serde_json::json;

use crate::Stage;

#[tokio::test]
async fn sigterm_stops_each_service_with_status_0() {
    let mut platform = Platform::start().await;
    for process in platform.processes_mut() {
        let (status, took) = process.terminate().await;
        assert_eq!(status.code(), Some(0), "{}", process.log_tail());
        assert!(took < Duration::from_secs(20), "idle, it took {took:?}: {}", process.log_tail());
    }
}

#[tokio::test]
async fn sigterm_finishes_requests_in_flight() {
    let stage = Stage::new().await;
    let Stage { mut platform, brand, receiver } = stage;
    let endpoint = receiver.endpoint("/hook");
    let gate = Gate::closed();
    endpoint.always(Reply::ok().behind(&gate));
    let webhook = brand.create_webhook(endpoint.url(), &["NOTIFICATION"]).await;
    let events = Event::sms_batch("acme", 5);
    platform.producer().await.publish_all(&events).await;
    endpoint.wait_for_requests(5).await;

    let began = Instant::now();
    let status = stop_before_gate(&gate, &mut platform.deliverers[0]).await;

    assert_eq!(status.code(), Some(0), "{}", platform.deliverers[0].log_tail());
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
    let ids = events.iter().map(|event| event.id().to_owned()).collect();
    brand.wait_listed(&webhook, "status=delivered", &ids, WAIT_TIMEOUT).await;
    platform.deliverers[0].start();
    platform.deliverers[0].wait_ready().await;
    let last = Event::sms("acme");
    platform.producer().await.publish(&last).await;
    endpoint.wait_for_event(last.id()).await;
    assert_eq!(endpoint.requests().len(), 6, "finished deliveries are not sent again");
}

/// Stops a deliverer, and opens the gate before its requests once it has received the signal.
async fn stop_before_gate(gate: &Gate, deliverer: &mut Process) -> ExitStatus {
    deliverer.signal("TERM");
    eventually("it received SIGTERM", WAIT_TIMEOUT, async || {
        match deliverer.read_log().contains("SIGTERM") {
            true => Ok(()),
            false => Err(deliverer.log_tail()),
        }
    })
    .await;
    gate.open();
    deliverer.wait_exit().await
}

/// Events that were routed together travel in one message. A stopping replica finishes the deliveries that it
/// has started, and another replica gets the rest.
#[tokio::test]
async fn a_stopping_replica_passes_on_the_rest_of_a_message() {
    let mut stage = Stage::new().await;
    let endpoint = stage.receiver.endpoint("/hook");
    let gate = Gate::closed();
    endpoint.answer([Reply::ok(), Reply::ok().behind(&gate)]);
    let description = json!({"endpoint": endpoint.url(), "events": ["NOTIFICATION"], "maxConcurrency": 2});
    let webhook = stage.brand.create_webhook_with(&description).await;
    let Stage { platform, .. } = &mut stage;
    platform.deliverers[0].terminate().await;
    platform.routers[0].terminate().await;
    let events = Event::sms_batch("acme", 40);
    platform.producer().await.publish_all(&events).await;
    platform.routers[0].start();
    stage.wait_queued(&webhook, &ids(&events)).await;
    let messages = stage.platform.rabbit().await.wait_messages(&format!("webhook.{}", webhook.id)).await;
    assert!(messages < 40, "{messages} messages");

    let deliverer = &mut stage.platform.deliverers[0];
    deliverer.start();
    endpoint.wait_for_requests(3).await;
    let status = stop_before_gate(&gate, deliverer).await;

    assert_eq!(status.code(), Some(0), "{}", deliverer.log_tail());
    assert!(endpoint.requests().len() < 10, "it went on after SIGTERM");
    deliverer.start();
    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&events), WAIT_TIMEOUT).await;
    assert_eq!(endpoint.requests().len(), 40, "each came once");
}
