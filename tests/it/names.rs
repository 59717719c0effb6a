//! Names of endpoints: one brand's slow names cost the others nothing, and a missing name server is our failure
//! (contract §5, §6).

use std::time::Instant;

use e2e::WAIT_TIMEOUT;
use e2e::brand::{Brand, Webhook};
use e2e::database;
use e2e::event::{Event, SMS};
use e2e::name_server::NameServer;
use e2e::platform::{Builder, Platform};
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::receiver::Receiver;
use e2e::script::Reply;
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::{LONG_WAIT_TIMEOUT, Stage};

/// A name in the receiver's certificate.
const NAME: &str = "hooks.test";
/// Half of the webhooks that a brand may have.
const SLOW_WEBHOOKS: usize = 500;
const EVENTS: usize = 10;
/// Events that the other brand receives meanwhile.
const VICTIM_EVENTS: usize = 30;
/// Maximum number of threads of a deliverer. Without bounds each name that is looked up would have one.
const MAX_THREADS: usize = 64;
/// Maximum duration of the other brand's requests. A lookup that waits for a silent one takes three seconds.
const MAX_DURATION_MS: u64 = 2900;

/// Requests to the API at once, fewer than the connections of a client network.
const MAX_REQUESTS_IN_FLIGHT: usize = 32;

/// Starts a platform whose names come from this server.
async fn start_platform(builder: Builder, names: &NameServer) -> Platform {
    let builder = builder.retries("10m").without_health_rule().unlimited_requests();
    builder.set("POSTRIDER_DNS_SERVERS", &names.setting()).start().await
}

/// Creates many webhooks whose names the server never answers for.
async fn create_slow_webhooks(brand: &Brand) -> Vec<Webhook> {
    let urls: Vec<String> = (0..SLOW_WEBHOOKS).map(|n| format!("https://a{n}.silent.test/hook")).collect();
    let creating = urls.iter().map(|url| brand.create_webhook(url, &[SMS]));
    stream::iter(creating).buffered(MAX_REQUESTS_IN_FLIGHT).collect().await
}

/// Creates the webhook of another brand, whose connections are closed after each request, so that each needs a lookup.
async fn create_healthy_webhook(platform: &Platform, brand: &Brand) -> (Receiver, Webhook) {
    let receiver = Receiver::start_with(&platform.authority, &["http/1.1"]).await;
    receiver.endpoint("/hook").always(Reply::ok().header("connection", "close"));
    let url = format!("https://{NAME}:{}/hook", receiver.port());
    let webhook = brand.create_webhook(&url, &[SMS]).await;
    (receiver, webhook)
}

/// Publishes an event, waits until it is delivered, and returns the duration of its only attempt.
async fn deliver_to_victim(platform: &Platform, brand: &Brand, webhook: &Webhook) -> u64 {
    let event = Event::sms("victim");
    platform.producer().await.publish(&event).await;
    brand.wait_delivery_status(webhook, event.id(), "delivered").await;
    let attempts = brand.list_attempts(webhook, event.id()).await;
    assert_eq!(attempts.len(), 1, "no attempt fails: {attempts:?}");
    attempts[0]["durationMs"].as_u64().expect("milliseconds")
}

#[tokio::test]
async fn names_that_never_resolve_cost_another_brand_nothing() {
    // Five hundred queues would burden a broker that other tests share.
    let broker = PrivateBroker::start().await;
    let names = NameServer::start();
    let platform = start_platform(Platform::builder().broker(&broker.url()), &names).await;
    names.set(NAME, &["127.0.0.1"]);
    names.set("inside.test", &["10.1.2.3"]);
    let attacker = platform.create_brand("attacker").await;
    let victim = platform.create_brand("victim").await;
    let (_receiver, healthy) = create_healthy_webhook(&platform, &victim).await;

    // The API checks the names of new webhooks; those of another brand are checked meanwhile.
    let (slow, ()) = tokio::join!(create_slow_webhooks(&attacker), async {
        for _ in 0..5 {
            let forbidden = json!({"endpoint": "https://inside.test/", "events": [SMS]});
            let refused = victim.api.post(&victim.webhooks_path(""), &forbidden).await;
            assert!(!refused.text.contains("10.1.2.3"), "{}", refused.text);
            assert_eq!(refused.error_pointers(), ["/endpoint"]);
        }
    });
    assert_eq!(slow.len(), SLOW_WEBHOOKS);
    // Only now, because the API waits two seconds for a silent server. It accepts names that do not exist yet at once.
    names.silence(".silent.test");

    platform.producer().await.publish_all(&Event::sms_batch("attacker", EVENTS)).await;
    let began = Instant::now();
    let mut durations = Vec::new();
    let mut threads = 0;
    while durations.len() < VICTIM_EVENTS {
        durations.push(deliver_to_victim(&platform, &victim, &healthy).await);
        let deliverer = &platform.deliverers[0];
        threads = threads.max(deliverer.count_threads());
        let _ = deliverer.wait_readyz(200).await;
    }
    durations.sort_unstable();
    // A busy machine may stop the test's servers for a second or two. A common bound would hit nearly all events.
    let most = durations[VICTIM_EVENTS - 3];
    eprintln!(
        "{VICTIM_EVENTS} events in {:?}: median {} ms, all but two {most} ms, longest {} ms; {threads} threads",
        began.elapsed(),
        durations[VICTIM_EVENTS / 2],
        durations[VICTIM_EVENTS - 1]
    );
    assert!(most <= MAX_DURATION_MS, "{durations:?}");
    assert!(threads <= MAX_THREADS, "{threads} threads");
    assert_slow_deliveries_end_as_dns(&platform, &attacker).await;
}

/// Asserts that each attempt of the brand with slow names was recorded as `dns`, some because the names' servers did not
/// answer and others because their lookup did not begin.
async fn assert_slow_deliveries_end_as_dns(platform: &Platform, attacker: &Brand) {
    let database = database::connect(&platform.database_url()).await.expect("the database");
    let expected = i64::try_from(SLOW_WEBHOOKS * EVENTS).expect("a number");
    let sql = "SELECT count(*) FILTER (WHERE outcome = 'dns'), count(*) FILTER (WHERE outcome <> 'dns'), \
               count(*) FILTER (WHERE error LIKE '%no answer within%'), \
               count(*) FILTER (WHERE error LIKE '%did not begin%') \
               FROM attempts JOIN webhooks ON webhooks.id = webhook_id WHERE brand_id = $1";
    let (other, silent, not_begun) = eventually("every attempt is recorded", LONG_WAIT_TIMEOUT, async || {
        let row = database.query_one(sql, &[&attacker.id]).await.map_err(|error| error.to_string())?;
        let dns: i64 = row.get(0);
        if dns >= expected { Ok((row.get(1), row.get(2), row.get(3))) } else { Err(format!("{dns} are")) }
    })
    .await;
    let (other, silent, not_begun): (i64, i64, i64) = (other, silent, not_begun);
    eprintln!("{expected} attempts as dns: {silent} without an answer, {not_begun} not begun");
    assert_eq!(other, 0, "no other outcome");
    assert!(silent > 0 && not_begun > 0, "{silent} and {not_begun}");
}

#[tokio::test]
async fn a_missing_name_server_does_not_count_against_the_webhook() {
    let names = NameServer::start();
    let platform = start_platform(Platform::builder(), &names).await;
    names.silence("");
    let stage = Stage::on_platform(platform).await;
    let webhook = stage.brand.create_webhook("https://hooks.test/hook", &[SMS]).await;
    let event = stage.publish_many(1).await.remove(0);

    let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);

    assert_eq!(attempt["outcome"], "dns", "{attempt}");
    let error = attempt["error"].as_str().expect("a text");
    assert!(error.ends_with("no name server answers this process"), "{error}");
    let path = stage.brand.webhook_path(&webhook, "/health");
    let health = stage.brand.api.get(&path).await.expect_status(200).json();
    assert_eq!((&health["attempts"], &health["failedInRow"]), (&json!(0), &json!(0)), "{health}");
}

#[tokio::test]
async fn a_name_that_is_created_later_is_found_by_the_first_retry() {
    let names = NameServer::start();
    let builder = Platform::builder().many_retries("5s").without_health_rule();
    let platform = builder.set("POSTRIDER_DNS_SERVERS", &names.setting()).start().await;
    let brand = platform.create_brand("victim").await;
    let (receiver, webhook) = create_healthy_webhook(&platform, &brand).await;
    let event = Event::sms("victim");
    platform.producer().await.publish(&event).await;
    let first = brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
    assert_eq!(first["outcome"], "dns", "{first}");

    names.set(NAME, &["127.0.0.1"]);

    eventually("the retry arrives", WAIT_TIMEOUT, async || {
        match receiver.endpoint("/hook").requests().len() {
            0 => Err("nothing has arrived".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let attempts = brand.wait_attempts(&webhook, event.id(), 2).await;
    assert_eq!(attempts.len(), 2, "the failure is cached for a shorter time: {attempts:?}");
}
