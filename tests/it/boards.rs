//! Every panel of the boards shows data when a platform has some; `deploy/check/boards_live.py` asks a
//! Prometheus that scrapes a platform under load.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::api::Api;
use e2e::brand::Webhook;
use e2e::event::Event;
use e2e::name_server::NameServer;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::prometheus::Prometheus;
use e2e::receiver::Endpoint;
use e2e::script::Reply;

use crate::{LONG_WAIT_TIMEOUT, Stage, python};

/// Events of each beat, and the length of a beat.
const EVENTS: usize = 20;
const BEAT_INTERVAL: Duration = Duration::from_millis(200);
/// Beats between two rounds of actions by support and the brand.
const BEATS_A_ROUND: usize = 5;

/// Returns an error with the panels that show no data yet.
fn check_boards(url: &str, pictures: Option<&Path>) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/check/boards_live.py");
    let mut command = Command::new(python::interpreter());
    command.arg(script).arg(url).args(["--interval", "10s"]);
    if let Some(pictures) = pictures {
        command.arg("--pictures").arg(pictures);
    }
    let output = command.output().expect("python3");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(errors) }
}

/// Causes everything that moves a panel, until the future is dropped.
async fn generate_load(stage: &Stage, webhook: &Webhook, flaky: &Endpoint) {
    let stranger = Api::new(stage.platform.api_address(), Some("nobody's token"));
    let producer = stage.platform.producer().await;
    let mut beats = tokio::time::interval(BEAT_INTERVAL);
    for beat in 0.. {
        beats.tick().await;
        let events = Event::sms_batch("acme", EVENTS);
        producer.publish_all(&events).await;
        if beat % BEATS_A_ROUND > 0 {
            continue;
        }
        // Each request needs a new connection, and its name a lookup.
        let replies = [Reply::status(500), Reply::status(503), Reply::ok()];
        flaky.answer(replies.map(|reply| reply.header("connection", "close")));
        producer.publish_raw("SOME.KEY", b"not JSON", None).await.expect("a confirm");
        producer.publish(&Event::new("acme", "NOTIFICATION.UNHEARD_OF")).await;
        let _ = stranger.get("/v1/me").await.expect_problem(401);
        let newest = stage.brand.webhook_path(webhook, "/events?status=delivered&limit=1");
        let page = stage.brand.api.get(&newest).await.expect_status(200).json();
        if let Some(id) = page["items"][0]["id"].as_str() {
            stage.brand.redeliver_event(webhook, id).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_data_of_a_platform_under_load() {
    let names = NameServer::start();
    names.set("hooks.test", &["127.0.0.1"]);
    let builder = Platform::builder().deliverers(2).unlimited_requests();
    let stage = Stage::with_builder(builder.set("POSTRIDER_DNS_SERVERS", &names.setting())).await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let flaky = stage.receiver.endpoint("/flaky");
    let named = flaky.url().replace("localhost", "hooks.test");
    stage.brand.create_webhook(&named, &["NOTIFICATION"]).await;
    let (down, _) = stage.create_webhook("/down").await;
    down.always(Reply::status(500));
    let prometheus = Prometheus::start(&stage.platform).await;
    // A run for pictures takes minutes, so that they have something to show.
    let seconds = std::env::var("E2E_BOARDS_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let pictures = std::env::var_os("E2E_BOARDS_PICTURES").map(PathBuf::from);
    let looking = async {
        tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(0))).await;
        eventually("every panel shows data", LONG_WAIT_TIMEOUT, async || {
            let url = prometheus.url();
            let pictures = pictures.clone();
            tokio::task::spawn_blocking(move || check_boards(&url, pictures.as_deref()))
                .await
                .expect("the check of the boards")
        })
        .await;
    };
    tokio::select! {
        () = generate_load(&stage, &webhook, &flaky) => unreachable!("the load has no end"),
        () = looking => {}
    }
}
