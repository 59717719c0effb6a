//! No secret and no token stands in the database, in a log, a metric or an audit (`crates/SECURITY.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::PATIENCE;
use e2e::brand::{Webhook, create_token};
use e2e::database;
use e2e::encodings::Hidden;
use e2e::event::SMS;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::{self, Process};
use e2e::script::Reply;
use http::Method;
use serde_json::json;

use crate::Stage;

/// A credential in the form of a header's value and of a URL's query.
const CREDENTIAL: &str = "Bearer-hush-4Zq9hXw2/Kd+7vRtY1==";
/// A limit above the number of rows.
const ALL: usize = 1_000_000;
/// Logs everything that happens.
const TALKATIVE: &str =
    "debug,hyper=trace,h2=trace,reqwest=trace,rustls=trace,lapin=trace,tokio_postgres=trace";

/// Collects the logs and metrics of each process.
async fn told(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let mut told = Vec::new();
    let platform = &stage.platform;
    for process in platform.apis.iter().chain(&platform.routers).chain(&platform.deliverers) {
        let (status, metrics) = process::get(process.ops(), "/metrics").await.expect("metrics");
        assert_eq!(status, 200);
        told.push((format!("the log of {}", process.name()), process.log().into_bytes()));
        told.push((format!("the metrics of {}", process.name()), metrics.into_bytes()));
    }
    told
}

/// Collects what support can read and must not contain secrets.
async fn shown(stage: &Stage) -> Vec<(String, Vec<u8>)> {
    let mut shown = Vec::new();
    for path in [
        "/admin/v1/audit?limit=1000",
        "/admin/v1/brands",
        "/admin/v1/brands/acme/tokens",
        "/admin/v1/webhooks",
        "/admin/v1/overview",
        "/admin/v1/rejected",
        "/v1/acme/webhooks",
    ] {
        let answer = stage.platform.support().get(path).await.expect(200);
        shown.push((path.to_owned(), answer.text.into_bytes()));
    }
    shown
}

fn check(hidden: &[Hidden], places: &[(String, Vec<u8>)]) -> Vec<String> {
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
async fn rotate(stage: &Stage, hidden: &mut Vec<Hidden>) -> Webhook {
    let endpoint = stage.receiver.endpoint("/hook");
    endpoint.always(Reply::status(500).text("no"));
    let description = json!({
        "endpoint": endpoint.url(), "events": [SMS], "signatures": ["v1", "v1a"],
        "headers": {"authorization": CREDENTIAL},
    });
    let webhook = stage.brand.webhook_of(&description).await;
    hidden.extend(Hidden::secret("the first secret", &webhook.secret));
    for (overlap, what) in [(3600, "the second secret"), (0, "the third secret"), (3600, "the fourth secret")]
    {
        let rotated = stage.brand.rotate(&webhook, &json!({"overlapSeconds": overlap})).await;
        hidden.extend(Hidden::secret(what, rotated["secret"].as_str().expect("a secret")));
        let event = stage.published(1).await.remove(0);
        stage.brand.wait_attempts(&webhook, event.id(), 1).await;
    }
    assert!(!stage.brand.secret(&webhook).await.is_empty());
    webhook
}

/// Sends wrong requests that might make the API repeat a secret.
async fn mistakes(stage: &Stage, webhook: &Webhook, token: &str) {
    let api = &stage.brand.api;
    let path = stage.brand.path_of(webhook, "");
    let secret = &webhook.secret;
    for body in [
        format!("{{\"secret\":\"{secret}\"}}"),
        format!("{{\"{secret}\":1}}"),
        format!("{{\"description\":{secret}}}"),
        format!("{{\"endpoint\":\"https://localhost/{secret}#\"}}"),
        format!("{{\"headers\":{{\"host\":\"{token}\"}}}}"),
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
    let _ = api.with_token(Some(secret)).get("/v1/acme/webhooks").await.expect(401);
}

/// Creates endpoints that fail in every way, with a credential in the URL.
async fn failures(stage: &Stage) {
    for endpoint in ["https://webhooks.invalid", "https://localhost:1"] {
        let url = format!("{endpoint}/hook?key={CREDENTIAL}");
        let webhook = stage.brand.webhook(&url, &[SMS]).await;
        let event = stage.published(1).await.remove(0);
        let attempts = stage.brand.wait_attempts(&webhook, event.id(), 1).await;
        assert!(!attempts[0].to_string().contains(CREDENTIAL), "{attempts:?}");
    }
}

#[tokio::test]
async fn no_secret_and_no_token_stands_in_the_database_or_a_log_in_any_encoding() {
    let master_key = STANDARD.encode(ulid::Ulid::generate().to_string() + "and-more");
    let master_key = STANDARD.encode(&STANDARD.decode(master_key).expect("base64")[..32]);
    let builder = Platform::builder().one_attempt().never_disabled().set("RUST_LOG", TALKATIVE);
    let mut stage = Stage::with(builder.set("POSTRIDER_MASTER_KEY", &master_key)).await;
    let support = stage.platform.support();
    let mut hidden = vec![
        Hidden::new("the master key (text)", master_key.as_bytes()),
        Hidden::new("the master key", &STANDARD.decode(&master_key).expect("base64")),
        Hidden::new("the support token", support.token().as_bytes()),
    ];
    hidden.extend(Hidden::token("the brand's token", stage.brand.api.token()));
    let reader = create_token(&support, "acme", "read").await;
    hidden.extend(Hidden::token("the reader's token", &reader));
    let _ = support.with_token(Some(&reader)).get("/v1/acme/webhooks").await.expect(200);
    let webhook = rotate(&stage, &mut hidden).await;
    mistakes(&stage, &webhook, &reader).await;
    failures(&stage).await;
    // A service that cannot decrypt others' secrets says so.
    let other_key = STANDARD.encode([7; 32]);
    stage.platform.deliverers[0].set("POSTRIDER_MASTER_KEY", &other_key);
    stage.platform.deliverers[0].crash_and_restart().await;
    let log = &stage.platform.deliverers[0];
    let told_of =
        async || if log.log().contains("POSTRIDER_MASTER_KEY") { Ok(()) } else { Err(log.log_tail()) };
    eventually("the deliverer reports a secret that it cannot decrypt", PATIENCE, told_of).await;

    let dump = vec![(
        "the database".to_owned(),
        database::dump(&stage.platform.database_url(), ALL).await.expect("a dump"),
    )];
    let told = told(&stage).await;
    let mut found = check(&hidden, &dump);
    found.extend(check(&hidden, &told));
    found.extend(check(&hidden, &shown(&stage).await));
    // The database contains headers and endpoints, since the API shows them; the logs do not.
    found.extend(check(&[Hidden::new("a credential", CREDENTIAL.as_bytes())], &told));

    let size = |places: &[(String, Vec<u8>)]| places.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    eprintln!(
        "{} secrets in {} bytes of the database and {} of logs and metrics: {found:?}",
        hidden.len(),
        size(&dump),
        size(&told)
    );
    assert_eq!(found, Vec::<String>::new());
    // The search covers the right places, because it finds an id that is there.
    let id = Hidden::new("the webhook's id", webhook.id.as_bytes());
    assert!(!check(std::slice::from_ref(&id), &dump).is_empty() && !check(&[id], &told).is_empty());
    let secret = stage.brand.api.get(&stage.brand.path_of(&webhook, "/secret")).await.expect(200);
    assert!(!check(&hidden, &[("/secret".to_owned(), secret.text.into_bytes())]).is_empty());
}

/// An error about an invalid setting names the setting without its value.
#[tokio::test]
async fn a_secret_that_is_set_wrongly_is_not_told() {
    const HUSH: &str = "hush-hush-hush-hush";
    let platform = Platform::builder().apis(0).routers(0).deliverers(0).prepare().await;
    let wrong: [(&str, String); 6] = [
        ("POSTRIDER_MASTER_KEY", HUSH.to_owned()),
        ("POSTRIDER_OLD_MASTER_KEYS", HUSH.to_owned()),
        ("POSTRIDER_SUPPORT_TOKEN", HUSH.to_owned()),
        ("DATABASE_URL", format!("postgres://u:{HUSH}@h:port/db")),
        ("AMQP_URL", format!("http://u:{HUSH}@h/")),
        ("AMQP_URL", format!("amqps://u:{HUSH}@h/%2f?cacertfile=/nothing/there")),
    ];
    for (number, (setting, value)) in wrong.into_iter().enumerate() {
        let mut settings = vec![("POSTRIDER_MASTER_KEY".to_owned(), STANDARD.encode([1; 32]))];
        settings.retain(|(name, _)| name != setting);
        settings.push((setting.to_owned(), value));
        let mut process =
            Process::new("subscription-api", &format!("wrong-{number}"), settings, platform.dir());
        process.start();
        let status = process.wait_exit().await;
        let log = process.log();
        eprintln!("{}", log.trim_end());
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains(setting) && log.trim_end().lines().count() == 1, "{log}");
        assert_eq!(Hidden::new("the secret value", HUSH.as_bytes()).found_in(log.as_bytes()), None, "{log}");
    }
}

/// An error about an unreachable server names the server without its password.
#[tokio::test]
async fn the_passwords_of_servers_that_are_away_are_not_told() {
    const HUSH: &str = "hush-hush-hush-hush";
    let mut platform = Platform::builder().apis(0).routers(1).deliverers(0).prepare().await;
    let router = &mut platform.routers[0];
    router.set("RUST_LOG", "trace");
    router.set("DATABASE_URL", &format!("postgres://postgres:{HUSH}@127.0.0.1:1/db"));
    router.set("AMQP_URL", &format!("amqp://guest:{HUSH}@127.0.0.1:1/%2f"));
    router.start();
    let both = async || {
        let log = router.log();
        let told = log.matches("a server is away").count() >= 2;
        if told { Ok(log) } else { Err(log.len().to_string()) }
    };
    let log = eventually("both servers are reported as unreachable", PATIENCE, both).await;
    let hidden = Hidden::new("the password", HUSH.as_bytes());
    assert_eq!(hidden.found_in(log.as_bytes()), None, "{log}");
}
