//! Support's view of the whole platform (contract §4).

use std::collections::BTreeSet;

use chrono::Utc;
use domain::time::format_timestamp;
use e2e::WAIT_TIMEOUT;
use e2e::platform::Platform;
use e2e::poll::eventually;
use serde_json::{Value, json};

use crate::{OneOfEach, Stage};

async fn read_overview(stage: &Stage) -> Value {
    stage.brand.support.get("/admin/v1/overview").await.expect_status(200).json()
}

/// Waits until the overview satisfies `wanted`.
async fn wait_overview(stage: &Stage, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(what, WAIT_TIMEOUT, async || {
        let overview = read_overview(stage).await;
        if wanted(&overview) { Ok(overview) } else { Err(overview.to_string()) }
    })
    .await
}

fn object_keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}

#[tokio::test]
async fn all_processes_are_listed() {
    let stage = Stage::with_builder(Platform::builder().routers(2).deliverers(2)).await;
    let seen = |overview: &Value| overview["services"].as_array().is_some_and(|all| all.len() == 5);
    let overview = wait_overview(&stage, "five processes are seen", seen).await;
    let mut names: Vec<_> =
        overview["services"].as_array().into_iter().flatten().map(|s| s["service"].to_string()).collect();
    names.sort();
    assert_eq!(names.join(" ").replace('"', ""), "deliverer deliverer router router subscription-api");
    for service in overview["services"].as_array().into_iter().flatten() {
        let wanted = BTreeSet::from(["service", "id", "host", "version", "started", "lastSeen"]);
        assert_eq!(object_keys(service), wanted, "{service}");
        assert!(service["started"].as_str() <= service["lastSeen"].as_str(), "{service}");
        assert!(service["lastSeen"].as_str() <= overview["at"].as_str(), "{overview}");
    }
}

#[tokio::test]
async fn it_shows_waiting_disabled_and_rejected() {
    let OneOfEach { stage, endpoint, webhook, disabled: off } = Stage::with_one_of_each().await;
    let began = format_timestamp(Utc::now());
    let events = stage.publish_many(3).await;
    endpoint.wait_for_requests(3).await;
    stage.platform.producer().await.publish_raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");

    let overview = wait_overview(&stage, "one waits and one was rejected", |overview| {
        let minutes = overview["minutes"].as_array().into_iter().flatten();
        let attempts: u64 = minutes.filter_map(|minute| minute["attempts"].as_u64()).sum();
        overview["waiting"]["deliveries"] == 1 && overview["rejected"] == 1 && attempts == 3
    })
    .await;

    let wanted = BTreeSet::from([
        "at",
        "services",
        "queues",
        "waiting",
        "webhooks",
        "attention",
        "attentionMore",
        "disabled",
        "rejected",
        "minutes",
    ]);
    assert_eq!(object_keys(&overview), wanted);
    assert_eq!(overview["waiting"]["oldestBrandId"], "acme", "{overview}");
    assert_eq!(overview["waiting"]["oldestWebhookId"], webhook.id, "{overview}");
    assert_eq!(overview["webhooks"], json!({"active": 1, "paused": 1, "disabled": 1}));
    let disabled = overview["disabled"].as_array().expect("a list");
    assert_eq!(disabled.iter().map(|webhook| &webhook["id"]).collect::<Vec<_>>(), [&json!(off.id)]);
    assert_eq!(disabled[0]["disabled"]["reason"], "support", "{}", disabled[0]);
    let oldest = overview["waiting"]["oldest"].as_str().expect("a time");
    // Not compared with `created`, because the router's reading of the clock may be ahead of the database's by a round trip.
    assert!(oldest >= began.as_str(), "{oldest} and {began}");
    let queues = overview["queues"].as_array().expect("a list");
    assert!(!queues.is_empty() && queues.iter().all(|q| q["name"].is_string() && q["messages"].is_u64()));
    let delivered: u64 = overview["minutes"].as_array().into_iter().flatten().fold(0, |sum, minute| {
        sum + minute["outcomes"]["delivered"].as_u64().unwrap_or_else(|| panic!("{minute}"))
    });
    assert_eq!(delivered, 2);
    assert_eq!(events.len(), 3);
}
