//! `postrider find`, redelivery jobs and the other commands of the lookup, against running services.

use e2e::WAIT_TIMEOUT;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::script::{Gate, Reply};
use serde_json::json;

use crate::Stage;
use crate::cli::cli;

/// Waits until a command succeeds and its output contains this text.
async fn wait_text(cli: &e2e::cli::Cli, args: &[&str], wanted: &str) -> String {
    eventually(&format!("{args:?} shows {wanted}"), WAIT_TIMEOUT, async || {
        let output = cli.run(args).await;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() && shown.contains(wanted) {
            Ok(shown)
        } else {
            Err(format!("{shown}{error}"))
        }
    })
    .await
}

#[tokio::test]
async fn delivered_event_is_found_by_id_and_by_key() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let brand = cli(&stage, &stage.brand.api);
    let published = brand.json(&["events", "publish", SMS, "--data", "{}", "--key", "order-4711"]).await;
    let id = published["ids"][0].as_str().expect("an id");
    let shown = wait_text(&brand, &["find", id], "delivered").await;
    assert!(shown.contains(&webhook.id) && shown.contains("order-4711"), "{shown}");
    wait_text(&brand, &["find", "order-4711"], id).await;
    wait_text(&brand, &["events", "list", "--key", "order-4711"], id).await;
    let support = cli(&stage, &stage.brand.support);
    assert_eq!(support.json(&["find", id]).await["brandId"], "acme");
    let attempt = brand.text(&["events", "attempt", &webhook.id, id]).await;
    assert!(attempt.contains("> POST https://") && attempt.contains("< 200"), "{attempt}");
}

#[tokio::test]
async fn events_that_nobody_receives_are_found_with_their_reason() {
    let stage = Stage::new().await;
    let brand = cli(&stage, &stage.brand.api);
    let support = cli(&stage, &stage.brand.support);
    support.text(&["types", "put", "ORDER.PAID", "--description", "Paid"]).await;
    let disabled = Event::new("acme", "ORDER.PAID");
    let unknown = Event::new("acme", "NO.SUCH");
    let nobody = Event::sms("acme");
    for event in [&disabled, &unknown, &nobody] {
        stage.publish_event(event).await;
    }
    wait_text(&brand, &["find", disabled.id()], "not enabled").await;
    wait_text(&brand, &["find", unknown.id()], "rejected (unknown_type)").await;
    wait_text(&brand, &["find", nobody.id()], "no webhook").await;
    let listed = brand.json(&["events", "list", "--all-of-brand", "--disposition", "not_enabled"]).await;
    assert_eq!(listed[0]["id"], disabled.id());
    wait_text(&support, &["rejected", "summary"], "NO.SUCH").await;
}

#[tokio::test]
async fn redelivery_jobs_are_listed_shown_and_named_in_conflicts() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().without_health_rule()).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let events = stage.publish_many(3).await;
    stage.wait_settled(&webhook, "failed", &events).await;
    endpoint.always(Reply::ok());
    let brand = cli(&stage, &stage.brand.api);
    let id = webhook.id.as_str();
    let all = ["redeliver", id, "--from", "1h", "--status", "all", "--dry-run"];
    assert!(brand.text(&all).await.starts_with("3 events (delivered ones included)"));
    let done = brand.json(&["redeliver", id, "--ids", events[0].id()]).await;
    assert_eq!((&done["state"], &done["total"]), (&json!("finished"), &json!(1)));
    let job = done["id"].as_str().expect("an id");
    assert_eq!(brand.json(&["redeliveries", "list", id]).await[0]["id"], job);
    assert_eq!(brand.json(&["redeliveries", "list"]).await[0]["id"], job);
    assert_eq!(brand.json(&["redeliveries", "show", &job[..13]]).await["state"], "finished");
    let support = cli(&stage, &stage.brand.support);
    assert_eq!(support.json(&["redeliveries", "list", "--all-brands"]).await[0]["id"], job);
}

#[tokio::test]
async fn running_job_is_cancelled() {
    let builder = Platform::builder().one_attempt().without_health_rule();
    let stage = Stage::with_builder(builder.set("POSTRIDER_REQUEST_TIMEOUT", "60s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.always(Reply::status(500));
    let events = stage.publish_many(3).await;
    stage.wait_settled(&webhook, "failed", &events).await;
    let gate = Gate::closed();
    endpoint.always(Reply::ok().behind(&gate));
    let brand = cli(&stage, &stage.brand.api);
    let started = brand.json(&["redeliver", &webhook.id, "--from", "1h", "--no-wait"]).await;
    let job = started["jobId"].as_str().expect("a job");
    let conflict = brand.failure(&["redeliver", &webhook.id, "--from", "1h"]).await;
    assert!(conflict.contains(job) && conflict.contains("(409)"), "{conflict}");
    brand.text(&["redeliveries", "cancel", job]).await;
    assert_eq!(brand.json(&["redeliveries", "show", job]).await["state"], "cancelled");
    gate.open();
}

#[tokio::test]
async fn audit_and_lists_are_filtered() {
    let stage = Stage::new().await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let brand = cli(&stage, &stage.brand.api);
    let support = cli(&stage, &stage.brand.support);
    for cli in [&brand, &support] {
        let filter = ["audit", "--brand", "acme", "--action", "webhook.create", "--from", "1h"];
        assert_eq!(cli.json(&filter).await[0]["subject"], webhook.id);
    }
    stage.deliver_one(&webhook).await;
    wait_text(&support, &["webhooks", "list", "--all-brands", "--health", "healthy"], &webhook.id).await;
    assert_eq!(support.json(&["webhooks", "list", "--all-brands", "--health", "failing"]).await, json!([]));
    support.text(&["webhooks", "disable", &webhook.id, "--detail", "a test"]).await;
    assert!(support.json(&["webhooks", "test", &webhook.id]).await.is_object());
    let shown = brand.json(&["webhooks", "rotate", &webhook.id]).await;
    assert!(shown["secret"].is_string());
    brand.text(&["webhooks", "end-previous", &webhook.id]).await;
}
