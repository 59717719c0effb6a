//! A hostile producer beside the careful ones.

use std::time::Duration;

use e2e::event::Event;
use e2e::ledger::Kind;
use e2e::poison::{self, HostileMessage};
use e2e::poll::eventually;
use e2e::process::Process;
use e2e::raw_amqp::RawClient;
use http::Method;
use tokio::time::{Instant, sleep};

use crate::world::{FORBIDDEN_TYPE, STRICT_TYPE, World};

/// How long the producer keeps reconnecting.
const DIAL_TIMEOUT: Duration = Duration::from_secs(60);
/// The reason of an event that violates an enforced schema.
const VIOLATION: &[&str] = &["schema_violation"];

/// A kind of message that a hostile producer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Poison {
    /// Short strings that are not UTF-8.
    ShortStrings,
    /// Headers that are nested thousands deep, and thousands of headers.
    Headers,
    /// Bodies that the router rejects, up to 300 KB.
    Bodies,
    /// A body of 16 MB.
    Huge,
    /// Events that expire before they are routed.
    Expirations,
    /// Schema violations with keys of 200,000 characters, over AMQP and over HTTP.
    LongKeys,
}

impl Poison {
    /// Sends all messages of this kind, and records which were confirmed.
    pub(crate) async fn send_messages(self, world: &mut World) {
        match self {
            Self::Expirations => send_expiring(world).await,
            Self::LongKeys => {
                let brand = world.brands[0].id.clone();
                send_all(world, poison::long_keys(&brand, STRICT_TYPE)).await;
                post_long_key(world).await;
            }
            other => {
                let messages = other.create_messages(world);
                send_all(world, messages).await;
            }
        }
    }

    fn create_messages(self, world: &World) -> Vec<HostileMessage> {
        let brand = &world.brands[0].id;
        let fine_type = "NOTIFICATION.FAULT.T0";
        match self {
            Self::ShortStrings => poison::short_string_messages(event_source(world)),
            Self::Headers => poison::header_messages(event_source(world)),
            Self::Bodies => {
                let mut bodies = poison::body_messages(brand, fine_type);
                bodies.push(poison::not_enabled(brand, FORBIDDEN_TYPE));
                bodies
            }
            Self::Huge => vec![poison::large_event(&Event::new(brand, fine_type), poison::HUGE_BYTES)],
            Self::Expirations => poison::expiring_events(event_source(world)),
            Self::LongKeys => poison::long_keys(brand, STRICT_TYPE),
        }
    }
}

/// Draws events of all kinds in turn, which may be rejected.
fn event_source(world: &World) -> impl FnMut() -> Event {
    let ledger = world.ledger.clone();
    let kinds: Vec<Kind> = world.traffic.kinds.clone();
    let mut kinds = kinds.into_iter().cycle();
    move || ledger.draw_disputed_event(kinds.next().expect("endless kinds"))
}

/// Sends some while the router runs, and some while it is stopped until all of them have expired.
async fn send_expiring(world: &mut World) {
    let messages = Poison::Expirations.create_messages(world);
    send_all(world, messages).await;
    // After this, each of them is routed or expired, and none is left in the router.
    world.wait_flowing(Instant::now()).await;
    world.platform.routers.iter_mut().for_each(Process::kill);
    let messages = Poison::Expirations.create_messages(world);
    send_all(world, messages).await;
    sleep(poison::ALL_EXPIRED).await;
    world.platform.routers.iter_mut().for_each(Process::start);
}

/// Publishes these messages one after the other. After a lost connection it reconnects, and does not send the
/// unconfirmed message again.
pub(crate) async fn send_all(world: &mut World, messages: Vec<HostileMessage>) {
    let mut client = None;
    let exchange = format!("{}.events", world.platform.namespace);
    for message in messages {
        let connected = match client.take() {
            Some(connected) => connected,
            None => connect_patiently(&world.broker.url()).await,
        };
        let mut connected: RawClient = connected;
        let sent = connected.publish(&exchange, &message.key, &message.properties, &message.body).await;
        match &sent {
            Ok(()) => client = Some(connected),
            Err(error) => eprintln!("not confirmed: {}: {error}", message.what),
        }
        world.claims.record(&message, sent.is_ok());
        if let (Some(event), Ok(())) = (&message.event, sent) {
            world.ledger.confirm_event(event);
        }
    }
}

async fn connect_patiently(amqp_url: &str) -> RawClient {
    eventually("the broker accepts a hostile producer", DIAL_TIMEOUT, async || {
        RawClient::connect(amqp_url).await
    })
    .await
}

/// Uses the brand's own token. The API may reject it, too.
async fn post_long_key(world: &mut World) {
    let brand = world.brands[0].clone();
    let event = poison::long_key(&brand.id, STRICT_TYPE);
    let path = format!("/v1/{}/events", brand.id);
    let answer = brand.api.try_send(Method::POST, &path, Some(event.body())).await;
    match answer.map(|answer| answer.status) {
        Ok(202) => world.claims.record_http("a key of 200,000 characters", event.id(), VIOLATION),
        Ok(422) => {}
        other => eprintln!("a long key over HTTP: {other:?}"),
    }
}
