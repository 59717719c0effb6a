//! A platform with servers of its own and a relay in front of each connection, under steady load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use e2e::api::Api;
use e2e::brand::{Brand, put_type};
use e2e::event::Event;
use e2e::ledger::{Kind, Ledger, Place, Subscriber};
use e2e::platform::{Builder, Platform};
use e2e::poison;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::private_postgres::PrivatePostgres;
use e2e::process::Process;
use e2e::proxy::Proxy;
use e2e::receiver::Receiver;
use e2e::traffic::Traffic;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::claims::Claims;

/// Webhooks of each brand.
pub(crate) const WEBHOOKS: usize = 5;
/// Retries that are over before a run ends, and outlast every fault.
const RETRIES: &str = "1s,1s,2s,3s,5s,5s,10s,10s,10s,10s";
/// Deliverers, unless a fault changes their number.
const DELIVERERS: usize = 2;
/// How long a sign of life may take before the run gives up.
const FLOW_TIMEOUT: Duration = Duration::from_secs(120);

/// A type whose schema is enforced.
pub(crate) const STRICT_TYPE: &str = "NOTIFICATION.FAULT.STRICT";
/// A type that no brand may receive.
pub(crate) const FORBIDDEN_TYPE: &str = "OTHER.FAULT";
/// A type whose rows the database refuses during a fault.
pub(crate) const REFUSED_TYPE: &str = "NOTIFICATION.FAULT.REFUSED";
/// A type that goes to a slow endpoint.
const SLOW_TYPE: &str = "NOTIFICATION.FAULT.SLOW";
/// The pace of the slow endpoint, so that some hundred events make a backlog.
const SLOW_PER_SECOND: u32 = 20;

/// A connection from a service to a server, or to the endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    ApiToBroker,
    RouterToBroker,
    DeliverersToBroker,
    /// That of the first deliverer only, so that the others go on.
    OneDelivererToBroker,
    ApiToDatabase,
    RouterToDatabase,
    DeliverersToDatabase,
    OneDelivererToDatabase,
    Endpoints,
}

/// The platform and its surroundings. Fields are declared in the order in which they have to be dropped.
pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) broker: PrivateBroker,
    pub(crate) postgres: PrivatePostgres,
    pub(crate) ledger: Arc<Ledger>,
    /// The steady load's producers.
    pub(crate) traffic: Traffic,
    pub(crate) brands: Vec<Brand>,
    /// Messages of hostile producers.
    pub(crate) claims: Claims,
    /// Whether a clock was days off, so that deliveries may have been given up visibly.
    pub(crate) clocks_were_off: bool,
    /// A webhook of the first brand that takes few events a second, and its kind of events.
    pub(crate) slow: Option<(Place, Kind)>,
    /// A webhook of the first brand whose rows the database refuses during a fault.
    pub(crate) refused: Option<(Place, Kind)>,
    relays: Vec<(Link, Proxy)>,
    broker_relay_url: String,
    database_relay_url: String,
    _receiver: Receiver,
}

impl World {
    /// Starts everything, with five webhooks for each of this number of brands.
    pub(crate) async fn start(brands: usize) -> Self {
        Self::start_with(brands, |builder| builder.retries(RETRIES)).await
    }

    /// Starts everything with further settings, including its retries.
    pub(crate) async fn start_with(brands: usize, settings: impl FnOnce(Builder) -> Builder) -> Self {
        let (broker, postgres) = tokio::join!(PrivateBroker::start(), PrivatePostgres::start());
        let builder = Platform::builder().broker(&broker.url()).postgres(&postgres.admin_url());
        let mut platform = settings(builder).deliverers(DELIVERERS).prepare().await;
        let ledger = Arc::new(Ledger::default());
        let receiver = Receiver::start_with_witness(&platform.authority, ledger.clone()).await;
        let amqp_url = broker.url();
        let namespace = platform.namespace.clone();
        let mut relays = Vec::new();
        let (broker_relay_url, database_relay_url) =
            start_relays(&mut platform, &receiver, &mut relays).await;
        platform.processes_mut().for_each(Process::use_fake_clock);
        platform.start_all().await;
        let traffic = Traffic { amqp_url, namespace, kinds: Vec::new(), ledger: ledger.clone() };
        let mut world = Self {
            platform,
            broker,
            postgres,
            ledger,
            traffic,
            brands: Vec::new(),
            claims: Claims::default(),
            clocks_were_off: false,
            slow: None,
            refused: None,
            relays,
            broker_relay_url,
            database_relay_url,
            _receiver: receiver,
        };
        world.populate(brands).await;
        world.persist_queues().await;
        world
    }

    /// Makes the broker persist its list of queues. RabbitMQ 3.10 forgets the place of a queue when it is
    /// killed in the second after the declaration; `it/silent_queue.rs` covers that case and the time of the
    /// repair.
    async fn persist_queues(&mut self) {
        self.wait_flowing(Instant::now()).await;
        self.broker.stop();
        self.broker.restart().await;
        self.wait_all_ready().await;
        self.wait_flowing(Instant::now()).await;
    }

    async fn populate(&mut self, brands: usize) {
        let support = self.platform.support();
        for number in 0..=WEBHOOKS {
            put_type(&support, &event_type(number), &json!({"description": "of the fault suite"})).await;
        }
        for number in 0..brands {
            let brand = self.platform.create_brand(&format!("brand-{number}")).await;
            let kinds: Vec<Kind> =
                (0..WEBHOOKS).map(|n| self.ledger.add_kind(&brand.id, &event_type(n))).collect();
            for own in 0..WEBHOOKS {
                // The last webhook takes the first one's events, too, so that some events fan out.
                let types = if own + 1 == WEBHOOKS { vec![own, 0] } else { vec![own] };
                self.subscribe_endpoint(&brand, &types, &types.iter().map(|n| kinds[*n]).collect::<Vec<_>>())
                    .await;
            }
            self.traffic.kinds.extend(kinds);
            self.brands.push(brand);
        }
        self.populate_for_faults(&support).await;
    }

    /// Creates types and webhooks of the first brand for single faults; the steady load does not use them.
    async fn populate_for_faults(&mut self, support: &Api) {
        let description = json!({"description": "of the fault suite"});
        let strict =
            json!({"description": "strict", "schema": poison::strict_schema(), "enforceSchema": true});
        put_type(support, STRICT_TYPE, &strict).await;
        for event_type in [FORBIDDEN_TYPE, REFUSED_TYPE, SLOW_TYPE] {
            put_type(support, event_type, &description).await;
        }
        let limit = json!({"ratePerSecond": SLOW_PER_SECOND});
        let _strict = self.subscribe_to(STRICT_TYPE, &json!({})).await;
        self.refused = Some(self.subscribe_to(REFUSED_TYPE, &json!({})).await);
        self.slow = Some(self.subscribe_to(SLOW_TYPE, &limit).await);
    }

    /// Subscribes another webhook of the first brand, with its kind of events.
    async fn subscribe_to(&self, event_type: &str, more: &Value) -> (Place, Kind) {
        let brand = &self.brands[0];
        let kind = self.ledger.add_kind(&brand.id, event_type);
        let place = self.ledger.next_place();
        let mut description = json!({"endpoint": self.endpoint_url(place), "events": [event_type]});
        let fields = description.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        let webhook = brand.create_webhook_with(&description).await;
        self.ledger.add_webhook(Subscriber { brand: brand.id.clone(), webhook }, &[kind]);
        (place, kind)
    }

    fn endpoint_url(&self, place: Place) -> String {
        format!("https://localhost:{}/{place}", self.relay(Link::Endpoints).port())
    }

    /// Subscribes an endpoint of the witness to these types.
    async fn subscribe_endpoint(&self, brand: &Brand, types: &[usize], kinds: &[Kind]) -> Place {
        let place = self.ledger.next_place();
        let endpoint = self.endpoint_url(place);
        let types: Vec<String> = types.iter().map(|n| event_type(*n)).collect();
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let webhook = brand.create_webhook(&endpoint, &types).await;
        self.ledger.add_webhook(Subscriber { brand: brand.id.clone(), webhook }, kinds)
    }

    /// Subscribes another webhook of the first brand, which answers 500 to everything, with its kind of
    /// events. Its events need not arrive.
    pub(crate) async fn subscribe_failing(&self) -> (Place, Kind) {
        let brand = &self.brands[0];
        let kind = self.ledger.add_kind(&brand.id, &event_type(WEBHOOKS));
        let place = self.subscribe_endpoint(brand, &[WEBHOOKS], &[kind]).await;
        self.ledger.set_failing(place, true);
        self.ledger.mark_excused(place);
        (place, kind)
    }

    fn relay(&self, link: Link) -> &Proxy {
        let (_, proxy) =
            self.relays.iter().find(|(other, _)| *other == link).expect("a relay for every connection");
        proxy
    }

    /// The relay of this connection.
    pub(crate) fn relay_mut(&mut self, link: Link) -> &mut Proxy {
        let (_, proxy) =
            self.relays.iter_mut().find(|(other, _)| *other == link).expect("a relay for every connection");
        proxy
    }

    /// Scales the deliverers to this number, so that new ones are ready and superfluous ones have stopped in
    /// order.
    pub(crate) async fn scale_deliverers(&mut self, deliverers: usize) {
        while self.platform.deliverers.len() > deliverers {
            let mut last = self.platform.deliverers.pop().expect("more deliverers than requested");
            let (status, _) = last.terminate().await;
            assert_eq!(status.code(), Some(0), "a deliverer stops in order");
        }
        while self.platform.deliverers.len() < deliverers {
            let broker = self.broker_relay_url.clone();
            let database = self.database_relay_url.clone();
            let deliverer = self.platform.add_deliverer();
            deliverer.set("AMQP_URL", &broker);
            deliverer.set("DATABASE_URL", &database);
            deliverer.use_fake_clock();
            deliverer.start();
            deliverer.wait_ready().await;
        }
    }

    /// Waits until all processes are ready, so that the next fault finds them as before.
    pub(crate) async fn wait_all_ready(&mut self) {
        join_all(self.platform.processes_mut().map(Process::wait_ready)).await;
    }

    /// Waits until an event of every kind, published now, has arrived at every webhook, and the API has
    /// accepted one. Returns the time since `ended`.
    pub(crate) async fn wait_flowing(&self, ended: Instant) -> Duration {
        let (drawn, ()) = tokio::join!(self.traffic.publish(&self.traffic.kinds), self.publish_over_http());
        if self
            .ledger
            .wait_until(FLOW_TIMEOUT, |ledger| ledger.describe_unseen(&drawn).is_empty())
            .await
            .is_err()
        {
            panic!("not within {FLOW_TIMEOUT:?}: {:#?}", self.ledger.describe_unseen(&drawn));
        }
        ended.elapsed()
    }

    /// Publishes an event of every kind, and waits at most this long until all have arrived, except at the
    /// webhook `but`. Returns the time taken, and the events; the time is `None` when it takes longer. Events
    /// that could not be published in time are published later.
    pub(crate) async fn flows_within(
        &self,
        limit: Duration,
        but: Option<Place>,
    ) -> Option<(Duration, Vec<Event>)> {
        let began = Instant::now();
        let traffic = self.traffic.clone();
        // This is a task of its own, because every drawn event has to be published in the end.
        let publishing = tokio::spawn(async move { traffic.publish(&traffic.kinds).await });
        let flowing = async {
            let drawn = publishing.await.expect("a producer");
            let arrived = |ledger: &Ledger| ledger.describe_seen_less_than(1, &drawn, but).is_empty();
            self.ledger.wait_until(limit, arrived).await.ok().map(|()| (began.elapsed(), drawn))
        };
        timeout(limit, flowing).await.ok().flatten()
    }

    /// Publishes an event through the API, as often as needed.
    async fn publish_over_http(&self) {
        let event = self.ledger.draw_event(self.traffic.kinds[0]);
        let brand = &self.brands[0];
        let path = format!("/v1/{}/events", self.brands[0].id);
        eventually("the API accepts an event", FLOW_TIMEOUT, async || {
            let answer = brand.api.try_send(Method::POST, &path, Some(event.body())).await?;
            if answer.status == 202 { Ok(()) } else { Err(format!("{answer:?}")) }
        })
        .await;
        self.ledger.confirm_event(&event);
    }

    /// The API with the support token.
    pub(crate) fn support(&self) -> Api {
        self.platform.support()
    }

    /// Publishes this number of events of one kind.
    pub(crate) async fn publish_burst(&self, kind: Kind, events: usize) -> Vec<Event> {
        self.traffic.publish(&vec![kind; events]).await
    }
}

/// Puts a relay into every connection, and returns the URLs for deliverers that start later.
async fn start_relays(
    platform: &mut Platform,
    receiver: &Receiver,
    relays: &mut Vec<(Link, Proxy)>,
) -> (String, String) {
    let amqp_url = platform.amqp_url().to_owned();
    let database_url = platform.database_url();
    let mut start_relay = async |link: Link, url: &str| {
        let (proxy, through) = Proxy::in_front_of(url).await;
        relays.push((link, proxy));
        through
    };
    let others = (
        start_relay(Link::DeliverersToBroker, &amqp_url).await,
        start_relay(Link::DeliverersToDatabase, &database_url).await,
    );
    let one = (
        start_relay(Link::OneDelivererToBroker, &amqp_url).await,
        start_relay(Link::OneDelivererToDatabase, &database_url).await,
    );
    let api = (
        start_relay(Link::ApiToBroker, &amqp_url).await,
        start_relay(Link::ApiToDatabase, &database_url).await,
    );
    let router = (
        start_relay(Link::RouterToBroker, &amqp_url).await,
        start_relay(Link::RouterToDatabase, &database_url).await,
    );
    let set = |process: &mut Process, (broker, database): &(String, String)| {
        process.set("AMQP_URL", broker);
        process.set("DATABASE_URL", database);
    };
    platform.apis.iter_mut().for_each(|process| set(process, &api));
    platform.routers.iter_mut().for_each(|process| set(process, &router));
    for (number, process) in platform.deliverers.iter_mut().enumerate() {
        set(process, if number == 0 { &one } else { &others });
    }
    let mut endpoints = Proxy::new_cut(SocketAddr::from(([127, 0, 0, 1], receiver.port())));
    endpoints.restore().await;
    relays.push((Link::Endpoints, endpoints));
    others
}

fn event_type(number: usize) -> String {
    format!("NOTIFICATION.FAULT.T{number}")
}
