//! Custom headers: write-only, sealed at rest, sent (contract §4.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, create_token};
use e2e::database;
use e2e::event::SMS;
use e2e::poll::eventually;
use e2e::receiver::Endpoint;
use e2e::support::disable_webhook;
use serde_json::json;

use crate::Stage;

const VALUE: &str = "Bearer ENDPOINT-SECRET-9f3";

async fn create_webhook(stage: &Stage) -> (Endpoint, Webhook) {
    let endpoint = stage.receiver.endpoint("/hook");
    let headers = json!({"Authorization": VALUE});
    let description = json!({"endpoint": endpoint.url(), "events": [SMS], "headers": headers});
    let webhook = stage.brand.create_webhook_with(&description).await;
    (endpoint, webhook)
}

/// Delivers an event and returns the header that came with it.
async fn deliver_header(stage: &Stage, endpoint: &Endpoint, webhook: &Webhook) -> String {
    let event = stage.deliver_one(webhook).await;
    endpoint.wait_for_event(event.id()).await.header("authorization").to_owned()
}

async fn dump_contains(stage: &Stage, text: &str) -> bool {
    let dump = database::dump_rows(&stage.platform.database_url(), 1_000_000).await.expect("a dump");
    dump.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Brings a webhook into the form of the release before.
async fn store_plain(stage: &Stage, webhook: &Webhook) {
    let client = database::connect(&stage.platform.database_url()).await.expect("a connection");
    let plain = format!(
        "UPDATE webhooks SET headers = '{}', sealed_headers = NULL, header_names = NULL WHERE id = '{}'",
        json!({"Authorization": VALUE}),
        webhook.id
    );
    client.batch_execute(&plain).await.expect("plain headers");
}

#[tokio::test]
async fn values_of_headers_are_sent_and_shown_at_the_secret_alone() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = create_webhook(&stage).await;
    assert_eq!(deliver_header(&stage, &endpoint, &webhook).await, VALUE);
    let reader = create_token(&stage.brand.support, "acme", "read").await;
    let reader = stage.brand.api.with_token(Some(&reader));
    let path = stage.brand.webhook_path(&webhook, "");
    let list = stage.brand.webhooks_path("");
    disable_webhook(&stage.brand.support, &webhook, "a test").await;
    for (api, path) in [
        (&reader, path.as_str()),
        (&reader, list.as_str()),
        (&stage.brand.api, path.as_str()),
        (&stage.brand.support, "/admin/v1/webhooks"),
        (&stage.brand.support, "/admin/v1/audit"),
    ] {
        let text = api.get(path).await.expect_status(200).text;
        assert!(text.contains("Authorization") && text.contains("(hidden)"), "{path}: {text}");
        assert!(!text.contains(VALUE), "{path}: {text}");
    }
    assert!(!webhook.json.to_string().contains(VALUE), "{}", webhook.json);
    let secret = stage.brand.webhook_path(&webhook, "/secret");
    let _ = reader.get(&secret).await.expect_problem(403);
    assert_eq!(stage.brand.read_headers(&webhook).await, json!({"Authorization": VALUE}));
    assert!(!dump_contains(&stage, VALUE).await && dump_contains(&stage, "Authorization").await);

    stage.brand.delete_webhook(&webhook).await;
    let client = database::connect(&stage.platform.database_url()).await.expect("a connection");
    let left = "SELECT count(*) FROM webhooks WHERE sealed_headers IS NOT NULL OR headers::text <> '{}'";
    assert_eq!(client.query_one(left, &[]).await.expect("a count").get::<_, i64>(0), 0);
}

/// The API seals what the release before stored, and the deliverer sends it before and after.
#[tokio::test]
async fn headers_of_the_release_before_are_sent_and_sealed() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = create_webhook(&stage).await;
    stage.platform.apis[0].terminate().await;
    store_plain(&stage, &webhook).await;
    assert!(dump_contains(&stage, VALUE).await, "as the release before stored it");
    let event = stage.publish_many(1).await.remove(0);
    assert_eq!(endpoint.wait_for_event(event.id()).await.header("authorization"), VALUE);

    stage.platform.apis[0].start();

    eventually("the headers are sealed", WAIT_TIMEOUT, async || {
        if dump_contains(&stage, VALUE).await { Err("they are plain".to_owned()) } else { Ok(()) }
    })
    .await;
    stage.platform.apis[0].wait_ready().await;
    assert_eq!(deliver_header(&stage, &endpoint, &webhook).await, VALUE);
    assert_eq!(stage.brand.read_headers(&webhook).await, json!({"Authorization": VALUE}));
}

/// While a process of the release before may run, headers are stored as it reads them.
#[tokio::test]
async fn headers_are_plain_while_a_process_of_the_release_before_runs() {
    let stage = Stage::new().await;
    let client = database::connect(&stage.platform.database_url()).await.expect("a connection");
    let old = "INSERT INTO instances (id, service, host, version, last_seen)
               VALUES (gen_random_uuid(), 'subscription-api', 'h', '0', now() + interval '1 hour')";
    client.batch_execute(old).await.expect("a process of the release before");
    let (endpoint, webhook) = create_webhook(&stage).await;
    assert_eq!(deliver_header(&stage, &endpoint, &webhook).await, VALUE);
    let find = "SELECT headers::text FROM webhooks";
    let plain: Option<String> = client.query_one(find, &[]).await.expect("a row").get(0);
    assert!(plain.is_some_and(|plain| plain.contains(VALUE)));
    let shown = stage.brand.read_webhook(&webhook).await;
    assert_eq!(shown["headers"], json!({"Authorization": "(hidden)"}));

    client.batch_execute("DELETE FROM instances WHERE host = 'h'").await.expect("it ends");
    stage.brand.patch_webhook(&webhook, &json!({"headers": {"X-More": "more"}})).await;
    assert!(!dump_contains(&stage, VALUE).await, "a change seals them");
    let values = json!({"Authorization": VALUE, "X-More": "more"});
    assert_eq!(stage.brand.read_headers(&webhook).await, values);
}

/// Headers that cannot be opened make their webhook wait, as a secret does.
#[tokio::test]
async fn headers_under_an_unknown_key_make_the_webhook_wait() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = create_webhook(&stage).await;
    let client = database::connect(&stage.platform.database_url()).await.expect("a connection");
    // The start of a sealed value names its key.
    let swap = "UPDATE webhooks SET sealed_headers = overlay(sealed_headers PLACING '\\x00000000' FROM 1)";
    let find = "SELECT sealed_headers FROM webhooks";
    let sealed: Vec<u8> = client.query_one(find, &[]).await.expect("a row").get(0);
    client.batch_execute(swap).await.expect("another key");
    let deliverer = &stage.platform.deliverers[0];
    eventually("the deliverer reports it", WAIT_TIMEOUT, async || {
        let log = deliverer.read_log();
        let reported = log.contains("the custom headers of webhook") && log.contains("POSTRIDER_MASTER_KEY");
        if reported { Ok(()) } else { Err(deliverer.log_tail()) }
    })
    .await;
    let event = stage.publish_many(1).await.remove(0);
    stage.brand.wait_delivery_status(&webhook, event.id(), "pending").await;
    let path = stage.brand.webhook_path(&webhook, "");
    assert_eq!(stage.brand.read_webhook(&webhook).await["headers"], json!({"Authorization": "(hidden)"}));
    let merged = stage.brand.api.patch(&path, &json!({"headers": {"X-More": "more"}})).await;
    assert!(merged.status >= 500 && !merged.text.contains(VALUE), "{}", merged.text);

    let restore = "UPDATE webhooks SET sealed_headers = $1";
    client.execute(restore, &[&sealed]).await.expect("the key is back");
    assert_eq!(endpoint.wait_for_event(event.id()).await.header("authorization"), VALUE);

    // A change of the master key includes them.
    let old = stage.platform.apis[0].setting("POSTRIDER_MASTER_KEY");
    let new = STANDARD.encode([42; 32]);
    for process in stage.platform.processes_mut() {
        process.set("POSTRIDER_MASTER_KEY", &new);
        process.set("POSTRIDER_OLD_MASTER_KEYS", &old);
        process.crash_and_restart().await;
    }
    reencrypt(&stage);
    for process in stage.platform.processes_mut() {
        process.unset("POSTRIDER_OLD_MASTER_KEYS");
        process.crash_and_restart().await;
    }
    assert_eq!(deliver_header(&stage, &endpoint, &webhook).await, VALUE);
    assert_eq!(stage.brand.read_headers(&webhook).await, json!({"Authorization": VALUE}));
}

/// Runs `subscription-api --reseal-secrets` with the settings of the API.
fn reencrypt(stage: &Stage) {
    let api = &stage.platform.apis[0];
    let mut command = std::process::Command::new(e2e::binaries::binary_path("subscription-api"));
    command.arg("--reseal-secrets");
    for setting in ["DATABASE_URL", "AMQP_URL", "POSTRIDER_MASTER_KEY", "POSTRIDER_OLD_MASTER_KEYS"] {
        command.env(setting, api.setting(setting));
    }
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
