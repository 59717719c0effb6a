//! A brand that pauses many webhooks with a backlog costs the database and the other brands nothing (contract §2, §4).

use e2e::WAIT_TIMEOUT;
use e2e::brand::Webhook;
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::poll::eventually;
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::{LONG_WAIT_TIMEOUT, Stage};

const WEBHOOKS: usize = 100;
const EVENTS: usize = 300;
/// Requests to the API at once.
const MAX_REQUESTS: usize = 8;
/// Deliveries that share a statement at least, on average. A quiet machine reaches hundreds.
const MIN_ENDS_PER_STATEMENT: f64 = 10.0;
/// Operations of a deliverer that must not fail.
const OPERATIONS: [&str; 5] =
    ["finish_delivery", "renew_instance", "refresh_webhooks", "close_generation", "look_up_delivery"];

/// Creates webhooks and lets events wait for each of them, while no deliverer runs.
async fn fill_queues(stage: &mut Stage) -> Vec<Webhook> {
    let brand = &stage.brand;
    let url = stage.receiver.endpoint("/flood").url().to_owned();
    let creating = (0..WEBHOOKS).map(|_| brand.create_webhook(&url, &["NOTIFICATION"]));
    let webhooks: Vec<Webhook> = stream::iter(creating).buffer_unordered(MAX_REQUESTS).collect().await;
    for deliverer in &mut stage.platform.deliverers {
        deliverer.terminate().await;
    }
    stage.publish_many(EVENTS).await;
    let rabbit = stage.platform.rabbit().await;
    eventually("every event is routed", LONG_WAIT_TIMEOUT, async || {
        let queued = stage.platform.routers[0].read_metric("postrider_deliveries_queued_total").await;
        let ingest = rabbit.queue_depth("ingest").await.unwrap_or_default();
        let wanted = f64::from(u32::try_from(WEBHOOKS * EVENTS).expect("a number"));
        if queued >= wanted && ingest == 0 {
            Ok(())
        } else {
            Err(format!("{queued} deliveries, {ingest} events"))
        }
    })
    .await;
    webhooks
}

/// Returns how many messages wait for these webhooks.
async fn count_messages(stage: &Stage, webhooks: &[Webhook]) -> u32 {
    let rabbit = stage.platform.rabbit().await;
    let mut messages = 0;
    for webhook in webhooks {
        messages += rabbit.queue_depth(&format!("webhook.{}", webhook.id)).await.unwrap_or_default();
    }
    messages
}

#[tokio::test]
async fn pausing_webhooks_with_a_backlog_delays_no_renewal_and_no_other_brand() {
    let mut stage = Stage::with_builder(Platform::builder().deliverers(2).unlimited_requests()).await;
    let victim = stage.platform.create_brand("victim").await;
    let endpoint = stage.receiver.endpoint("/victim");
    let hook = victim.create_webhook(endpoint.url(), &["NOTIFICATION"]).await;
    let webhooks = fill_queues(&mut stage).await;
    let waiting = count_messages(&stage, &webhooks).await;
    assert!(waiting > 0, "the messages wait");

    let pause = json!({"enabled": false});
    let pausing = webhooks.iter().map(async |webhook| stage.brand.patch_webhook(webhook, &pause).await);
    stream::iter(pausing).buffer_unordered(MAX_REQUESTS).for_each(async |_| {}).await;
    for deliverer in &mut stage.platform.deliverers {
        deliverer.start();
    }
    for deliverer in &mut stage.platform.deliverers {
        deliverer.wait_ready().await;
    }
    eventually("both deliverers see each other", WAIT_TIMEOUT, async || members(&stage).await).await;

    // The other brand's deliveries arrive while the queues are emptied, and both deliverers stay alive.
    let mut left = waiting;
    while left > 0 {
        let event = Event::sms("victim");
        stage.publish_event(&event).await;
        victim.wait_delivery_status(&hook, event.id(), "delivered").await;
        members(&stage).await.expect("both deliverers are alive");
        left = count_messages(&stage, &webhooks).await;
    }

    for webhook in &webhooks {
        stage.brand.wait_no_events(webhook, "status=pending", LONG_WAIT_TIMEOUT).await;
    }
    let discarded = stage.brand.list_events(&webhooks[0], "status=discarded").await;
    assert_eq!(discarded.len(), EVENTS);
    let mut statements = 0.0;
    let mut ends = 0.0;
    for deliverer in &stage.platform.deliverers {
        for operation in OPERATIONS {
            let name = format!("postrider_deliverer_retries_total{{operation=\"{operation}\"}}");
            assert!(deliverer.read_metric(&name).await < 0.5, "{operation} failed: {}", deliverer.log_tail());
        }
        statements += deliverer.read_metric("postrider_deliverer_end_batch_size_count").await;
        ends += deliverer.read_metric("postrider_deliverer_end_batch_size_sum").await;
    }
    eprintln!(
        "{statements} statements ended {ends} of {} deliveries; the others were closed",
        WEBHOOKS * EVENTS
    );
    assert!(
        statements <= 4.0 + ends / MIN_ENDS_PER_STATEMENT,
        "{statements} statements for {ends} deliveries"
    );
    assert!(stage.receiver.endpoint("/flood").requests().is_empty(), "a paused webhook is sent nothing");
}

/// Whether each deliverer sees two of them.
async fn members(stage: &Stage) -> Result<(), String> {
    let mut seen = Vec::new();
    for deliverer in &stage.platform.deliverers {
        seen.push(deliverer.read_metric("postrider_deliverer_members").await);
    }
    if seen.iter().all(|members| (members - 2.0).abs() < 0.5) { Ok(()) } else { Err(format!("{seen:?}")) }
}
