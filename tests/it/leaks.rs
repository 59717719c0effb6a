//! No secret and no token stands in the database, in a log, a metric or an audit (`crates/SECURITY.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::WAIT_TIMEOUT;
use e2e::brand::{Webhook, create_support_token, create_token, put_type};
use e2e::database;
use e2e::encodings::SecretForms;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::{self, Process};
use e2e::script::Reply;
use e2e::support::{disable_webhook, republish_rejected, wait_rejected};
use http::Method;
use serde_json::json;

use crate::Stage;

/// A credential in the query of an endpoint.
const QUERY: &str = "query-hush-4Zq9hXw2/Kd+7vRtY1==";
/// A credential in a custom header.
const HEADER: &str = "Bearer header-hush-9sLm3Nc8/Qp+2xTzW5==";
/// Personal data in the payload of an event.
const PAYLOAD: &str = "4111 1111 1111 1111 of Ada Lovelace";
/// A limit above the number of rows.
const MAX_ROWS: usize = 1_000_000;
/// Logs everything that happens.
const VERBOSE_LOG: &str =
    "debug,hyper=trace,h2=trace,reqwest=trace,rustls=trace,lapin=trace,tokio_postgres=trace";

/// Logs everything that our own code reports. At this level the libraries log neither statements nor frames.
const OWN_LOG: &str = "info,subscription_api=trace,router=trace,deliverer=trace,store=trace,broker=trace,runtime=trace,domain=trace";

/// Collects the logs and metrics of each process.
async fn collect_output(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let mut output = Vec::new();
    let platform = &stage.platform;
    for process in platform.apis.iter().chain(&platform.routers).chain(&platform.deliverers) {
        let (status, metrics) = process::http_get(process.ops_address(), "/metrics").await.expect("metrics");
        assert_eq!(status, 200);
        output.push((format!("the log of {}", process.name()), process.read_log().into_bytes()));
        output.push((format!("the metrics of {}", process.name()), metrics.into_bytes()));
    }
    output
}

/// Collects what support can read and must not contain secrets.
async fn collect_support_views(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let mut views = Vec::new();
    for path in [
        "/admin/v1/audit?limit=1000",
        "/admin/v1/brands",
        "/admin/v1/brands/acme/tokens",
        "/admin/v1/tokens",
        "/v1/acme/tokens",
        "/admin/v1/webhooks",
        "/admin/v1/overview",
        "/admin/v1/rejected",
        "/v1/acme/webhooks",
    ] {
        let answer = stage.platform.support().get(path).await.expect_status(200);
        views.push((path.to_owned(), answer.text.into_bytes()));
    }
    views
}

fn find_leaks(hidden: &[SecretForms], places: &[(String, Vec<u8>)]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, bytes) in places {
        for hidden in hidden {
            if let Some(form) = hidden.found_in(bytes) {
                found.push(format!("{} stands in {place}, {form}", hidden.what));
            }
        }
    }
    found
}

/// Draws and rotates secrets, with and without `v1a`; each of them signs a request.
async fn rotate_secrets(stage: &Stage, hidden: &mut Vec<SecretForms>) -> Webhook {
    let endpoint = stage.receiver.endpoint("/hook");
    endpoint.always(Reply::status(500).text("no"));
    let description = json!({
        "endpoint": endpoint.url(), "events": [SMS], "signatures": ["v1", "v1a"],
        "headers": {"authorization": HEADER},
    });
    let webhook = stage.brand.create_webhook_with(&description).await;
    stage.brand.patch_webhook(&webhook, &json!({"headers": {"x-changed": HEADER}})).await;
    hidden.push(SecretForms::new("the value of a header", HEADER.as_bytes()));
    hidden.extend(SecretForms::secret("the first secret", &webhook.secret));
    for (overlap, what) in [(3600, "the second secret"), (0, "the third secret"), (3600, "the fourth secret")]
    {
        let rotated = stage.brand.rotate_secret(&webhook, &json!({"overlapSeconds": overlap})).await;
        hidden.extend(SecretForms::secret(what, rotated["secret"].as_str().expect("a secret")));
        let event = stage.publish_many(1).await.remove(0);
        stage.brand.wait_attempts(&webhook, event.id(), 1).await;
    }
    assert!(!stage.brand.read_secret(&webhook).await.is_empty());
    webhook
}

/// Sends wrong requests that might make the API repeat a secret.
async fn send_mistakes(stage: &Stage, webhook: &Webhook, token: &str) {
    let api = &stage.brand.api;
    let path = stage.brand.webhook_path(webhook, "");
    let secret = &webhook.secret;
    for body in [
        format!("{{\"secret\":\"{secret}\"}}"),
        format!("{{\"{secret}\":1}}"),
        format!("{{\"description\":{secret}}}"),
        format!("{{\"endpoint\":\"https://localhost/{secret}#\"}}"),
        format!("{{\"headers\":{{\"host\":\"{token}\"}}}}"),
        format!("{{\"headers\":{{\"x-bad\":\"{HEADER}\\n\"}}}}"),
        format!("{{\"headers\":{{\"x-other\":\"(hidden)\",\"x-new\":\"{HEADER}\"}}}}"),
    ] {
        let answer = api.send(Method::PATCH, &path, Some(body)).await;
        assert!([400, 422].contains(&answer.status), "{}", answer.text);
    }
    for path in [
        format!("/v1/acme/webhooks?token={token}"),
        format!("/v1/{token}/webhooks"),
        format!("/v1/acme/webhooks/{token}"),
        format!("/nowhere/{secret}"),
        format!("/admin/v1/audit?cursor={secret}"),
    ] {
        let answer = api.get(&path).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    let _ = api.with_token(Some(secret)).get("/v1/acme/webhooks").await.expect_status(401);
}

/// Creates endpoints that fail in every way, with a credential in the URL.
async fn create_failing_endpoints(stage: &Stage) {
    for endpoint in ["https://webhooks.invalid", "https://localhost:1"] {
        let url = format!("{endpoint}/hook?key={QUERY}");
        let webhook = stage.brand.create_webhook(&url, &[SMS]).await;
        let event = stage.publish_many(1).await.remove(0);
        let attempts = stage.brand.wait_attempts(&webhook, event.id(), 1).await;
        assert!(!attempts[0].to_string().contains(QUERY), "{attempts:?}");
        disable_webhook(&stage.brand.support, &webhook, "for a test").await;
    }
}

#[tokio::test]
async fn no_secret_appears_in_the_database_or_a_log() {
    let master_key = STANDARD.encode(ulid::Ulid::generate().to_string() + "and-more");
    let master_key = STANDARD.encode(&STANDARD.decode(master_key).expect("base64")[..32]);
    let builder = Platform::builder().one_attempt().without_health_rule().set("RUST_LOG", VERBOSE_LOG);
    let mut stage = Stage::with_builder(builder.set("POSTRIDER_MASTER_KEY", &master_key)).await;
    let support = stage.platform.support();
    let mut hidden = vec![
        SecretForms::new("the master key (text)", master_key.as_bytes()),
        SecretForms::new("the master key", &STANDARD.decode(&master_key).expect("base64")),
        SecretForms::new("the support token", support.token().as_bytes()),
    ];
    hidden.extend(SecretForms::token("the brand's token", stage.brand.api.token()));
    let reader = create_token(&support, "acme", "read").await;
    hidden.extend(SecretForms::token("the reader's token", &reader));
    let _ = support.with_token(Some(&reader)).get("/v1/acme/webhooks").await.expect_status(200);
    let (_, named) = create_support_token(&support, "Ada").await;
    hidden.extend(SecretForms::token("the named support token", &named));
    let _ = support.with_token(Some(&named)).get("/v1/acme/webhooks").await.expect_status(200);
    let webhook = rotate_secrets(&stage, &mut hidden).await;
    send_mistakes(&stage, &webhook, &reader).await;
    create_failing_endpoints(&stage).await;
    // A service that cannot decrypt others' secrets says so.
    let other_key = STANDARD.encode([7; 32]);
    stage.platform.deliverers[0].set("POSTRIDER_MASTER_KEY", &other_key);
    stage.platform.deliverers[0].crash_and_restart().await;
    let log = &stage.platform.deliverers[0];
    let reported =
        async || if log.read_log().contains("POSTRIDER_MASTER_KEY") { Ok(()) } else { Err(log.log_tail()) };
    eventually("the deliverer reports a secret that it cannot decrypt", WAIT_TIMEOUT, reported).await;

    let dump = vec![(
        "the database".to_owned(),
        database::dump_rows(&stage.platform.database_url(), MAX_ROWS).await.expect("a dump"),
    )];
    let output = collect_output(&stage).await;
    let mut found = find_leaks(&hidden, &dump);
    found.extend(find_leaks(&hidden, &output));
    found.extend(find_leaks(&hidden, &collect_support_views(&stage).await));
    // The database contains the queries of endpoints, since the API shows them; the logs and the audit do not.
    let query = [SecretForms::new("the query of an endpoint", QUERY.as_bytes())];
    found.extend(find_leaks(&query, &output));
    let audit = stage.platform.support().get("/admin/v1/audit?limit=1000").await.expect_status(200);
    found.extend(find_leaks(&query, &[("the audit".to_owned(), audit.text.into_bytes())]));

    let size = |places: &[(String, Vec<u8>)]| places.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    eprintln!(
        "{} secrets in {} bytes of the database and {} of logs and metrics: {found:?}",
        hidden.len(),
        size(&dump),
        size(&output)
    );
    assert_eq!(found, Vec::<String>::new());
    // The search covers the right places, because it finds an id that is there.
    let id = SecretForms::new("the webhook's id", webhook.id.as_bytes());
    assert!(
        !find_leaks(std::slice::from_ref(&id), &dump).is_empty() && !find_leaks(&[id], &output).is_empty()
    );
    let secret = stage.brand.api.get(&stage.brand.webhook_path(&webhook, "/secret")).await.expect_status(200);
    assert!(!find_leaks(&hidden, &[("/secret".to_owned(), secret.text.into_bytes())]).is_empty());
}

/// Publishes events whose payload makes every process complain.
async fn publish_refused_payloads(stage: &Stage) {
    let schema = json!({"properties": {"card": {"type": "integer"}}});
    let strict = json!({"description": "x", "schema": schema, "enforceSchema": true});
    put_type(&stage.brand.support, "NOTIFICATION.STRICT", &strict).await;
    let data = json!({"card": PAYLOAD}).to_string();
    let producer = stage.platform.producer().await;
    producer.publish(&Event::new("acme", "NOTIFICATION.STRICT").data(&data)).await;
    producer.publish(&Event::new("acme", "NO.SUCH").data(&data)).await;
    let malformed = format!("{{\"brandId\":\"{PAYLOAD}\",\"type\":\"{PAYLOAD}\",\"data\":\"{PAYLOAD}\"");
    for text in [&malformed, &format!("{malformed}}}")] {
        producer.publish_raw("SOME.KEY", text.as_bytes(), Some("id")).await.expect("a confirm");
    }
    wait_rejected(&stage.brand.support, 4).await;
    republish_rejected(&stage.brand.support, json!({})).await;
    let body = json!({"type": "NOTIFICATION.STRICT", "data": {"card": PAYLOAD}});
    let _ = stage.brand.api.post("/v1/acme/events", &body).await.expect_problem(422);
    let broken = format!("{{\"type\":\"{SMS}\",\"data\":\"{PAYLOAD}");
    let _ = stage.brand.api.send(Method::POST, "/v1/acme/events", Some(broken)).await.expect_problem(400);
}

/// Neither the processes nor the texts of the endpoints bring a payload into a log.
#[tokio::test]
async fn no_payload_appears_in_a_log() {
    let stage = Stage::with_builder(Platform::builder().one_attempt().set("RUST_LOG", OWN_LOG)).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    endpoint.answer([Reply::status(500).text(PAYLOAD), Reply::ok()]);
    publish_refused_payloads(&stage).await;
    let data = json!(PAYLOAD).to_string();
    for status in ["failed", "delivered"] {
        let event = Event::sms("acme").data(&data);
        stage.publish_event(&event).await;
        stage.brand.wait_delivery_status(&webhook, event.id(), status).await;
    }
    let output = collect_output(&stage).await;
    assert_eq!(
        find_leaks(&[SecretForms::new("a payload", PAYLOAD.as_bytes())], &output),
        Vec::<String>::new()
    );
    let listed = json!(wait_rejected(&stage.brand.support, 4).await).to_string().into_bytes();
    let found =
        find_leaks(&[SecretForms::new("a payload", PAYLOAD.as_bytes())], &[("the list".to_owned(), listed)]);
    assert!(!found.is_empty(), "the search finds what is there");
}

/// An error about an invalid setting names the setting without its value.
#[tokio::test]
async fn an_invalid_secret_setting_is_not_repeated() {
    const PASSWORD: &str = "hush-hush-hush-hush";
    let platform = Platform::builder().apis(0).routers(0).deliverers(0).prepare().await;
    let wrong: [(&str, String); 6] = [
        ("POSTRIDER_MASTER_KEY", PASSWORD.to_owned()),
        ("POSTRIDER_OLD_MASTER_KEYS", PASSWORD.to_owned()),
        ("POSTRIDER_SUPPORT_TOKEN", PASSWORD.to_owned()),
        ("DATABASE_URL", format!("postgres://u:{PASSWORD}@h:port/db")),
        ("AMQP_URL", format!("http://u:{PASSWORD}@h/")),
        ("AMQP_URL", format!("amqps://u:{PASSWORD}@h/%2f?cacertfile=/nothing/there")),
    ];
    for (number, (setting, value)) in wrong.into_iter().enumerate() {
        let mut settings = vec![("POSTRIDER_MASTER_KEY".to_owned(), STANDARD.encode([1; 32]))];
        settings.retain(|(name, _)| name != setting);
        settings.push((setting.to_owned(), value));
        let mut process =
            Process::new("subscription-api", &format!("wrong-{number}"), settings, platform.dir());
        process.start();
        let status = process.wait_exit().await;
        let log = process.read_log();
        eprintln!("{}", log.trim_end());
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains(setting) && log.trim_end().lines().count() == 1, "{log}");
        assert_eq!(
            SecretForms::new("the secret value", PASSWORD.as_bytes()).found_in(log.as_bytes()),
            None,
            "{log}"
        );
    }
}

/// An error about an unreachable server names the server without its password.
#[tokio::test]
async fn passwords_of_unreachable_servers_are_not_logged() {
    const PASSWORD: &str = "hush-hush-hush-hush";
    let mut platform = Platform::builder().apis(0).routers(1).deliverers(0).prepare().await;
    let router = &mut platform.routers[0];
    router.set("RUST_LOG", "trace");
    router.set("DATABASE_URL", &format!("postgres://postgres:{PASSWORD}@127.0.0.1:1/db"));
    router.set("AMQP_URL", &format!("amqp://guest:{PASSWORD}@127.0.0.1:1/%2f"));
    router.start();
    let reports = async || {
        let log = router.read_log();
        let reported = log.matches("a server is away").count() >= 2;
        if reported { Ok(log) } else { Err(log.len().to_string()) }
    };
    let log = eventually("both servers are reported as unreachable", WAIT_TIMEOUT, reports).await;
    let hidden = SecretForms::new("the password", PASSWORD.as_bytes());
    assert_eq!(hidden.found_in(log.as_bytes()), None, "{log}");
}
