//! The victim: a brand that publishes ten events a second and calls the API five times a second, on a thread
//! of its own, so that the attacker's work in this process does not delay the measurement.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::api::Api;
use e2e::brand::{Brand, Webhook};
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::producer::Producer;
use e2e::receiver::Receiver;
use e2e::script::Reply;
use e2e::tls::install_crypto;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Interval, interval};

use crate::record::{Record, SECOND_PATH};

/// Interval of the victim's events.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Interval of its API calls.
const CALL_INTERVAL: Duration = Duration::from_millis(200);
/// A call without an answer for this long is an error.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new webhook may take to be called before a scenario gives up.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of the looks at it.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long the producer waits before it reconnects.
const RECONNECT_DELAY: Duration = Duration::from_millis(100);
/// The address from which the victim calls the API, in another network than the attacker's.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 77, 0, 1));

/// How the victim's endpoint is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Over kept connections to `localhost`.
    Kept,
    /// Over a new connection for each request, to a name that the name server has to resolve.
    ByName(&'static str),
}

/// The victim brand, with its endpoint and its traffic.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) brand: Brand,
    pub(crate) webhook: Webhook,
    pub(crate) record: Arc<Record>,
    calling: Calling,
    second_url: String,
    stop: watch::Sender<bool>,
    traffic: Vec<JoinHandle<()>>,
    runtime: Option<Runtime>,
    _receiver: Receiver,
}

impl Victim {
    /// Creates the brand, its endpoint and its webhook.
    pub(crate) async fn create(platform: &Platform, reach: Reach) -> Self {
        let reply = match reach {
            Reach::Kept => Reply::ok(),
            Reach::ByName(_) => Reply::ok().header("connection", "close"),
        };
        let record = Arc::new(Record::new(reply));
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime =
            builder.worker_threads(1).thread_name("victim").enable_all().build().expect("a runtime");
        let receiving = Receiver::start_with_witness(&platform.authority, record.clone());
        // The endpoint's tasks run where it is started.
        let receiver = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(receiving)).join())
            .expect("the victim's endpoint");
        let url = |path| match reach {
            Reach::Kept => receiver.endpoint(path).url().to_owned(),
            Reach::ByName(name) => receiver.endpoint(path).url().replace("localhost", name),
        };
        let brand = platform.create_brand("victim").await;
        let webhook = brand.create_webhook(&url("/victim"), &["NOTIFICATION"]).await;
        let paths = [brand.webhooks_path(""), brand.webhook_path(&webhook, "/events?limit=20")];
        let base = format!("http://{}", platform.api_address());
        let token = brand.api.token().to_owned();
        let client = create_client();
        Self {
            second_url: url(SECOND_PATH),
            brand,
            webhook,
            calling: Calling { base, token, paths, client, record: record.clone() },
            record,
            stop: watch::Sender::new(false),
            traffic: Vec::new(),
            runtime: Some(runtime),
            _receiver: receiver,
        }
    }

    /// Starts the traffic.
    pub(crate) fn begin(&mut self, platform: &Platform) {
        let runtime = self.runtime.as_ref().expect("the victim's runtime");
        let producing = Producing {
            amqp_url: platform.amqp_url().to_owned(),
            namespace: platform.namespace.clone(),
            record: self.record.clone(),
        };
        self.traffic = vec![
            runtime.spawn(producing.run(self.stop.subscribe())),
            runtime.spawn(self.calling.clone().run(self.stop.subscribe())),
        ];
    }

    /// Creates another webhook, and returns the time until its first request, which the next events cause.
    ///
    /// # Errors
    /// When it cannot be created, or is not called in time.
    pub(crate) async fn add_webhook(&self) -> Result<Duration, String> {
        let began = Instant::now();
        let description = json!({"endpoint": self.second_url, "events": ["NOTIFICATION"]});
        let path = format!("{}{}", self.calling.base, self.calling.paths[0]);
        let request = self.calling.client.post(path).bearer_auth(&self.calling.token);
        let request = request.header("content-type", "application/json").body(description.to_string());
        let answer = request.send().await.map_err(|error| format!("a new webhook: {error:?}"))?;
        if answer.status() != 201 {
            return Err(format!("a new webhook: {}", answer.status()));
        }
        while !self.record.is_second_webhook_called() {
            if began.elapsed() > CHANGE_TIMEOUT {
                return Err(format!("a new webhook is not called within {CHANGE_TIMEOUT:?}"));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(began.elapsed())
    }

    /// Stops the traffic, and waits until all its events are confirmed and its calls answered.
    pub(crate) async fn end(&mut self) {
        self.stop.send_replace(true);
        for task in self.traffic.drain(..) {
            task.await.expect("the victim's traffic");
        }
    }

    /// Returns the brand's API.
    pub(crate) fn api(&self) -> &Api {
        &self.brand.api
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Returns a client that calls from the victim's address, over a new connection each time.
pub(crate) fn create_client() -> reqwest::Client {
    install_crypto();
    let builder = reqwest::Client::builder().no_proxy().local_address(ADDRESS).timeout(CALL_TIMEOUT);
    builder.pool_max_idle_per_host(0).build().expect("an HTTP client")
}

/// Waits for the next tick; returns false when the traffic has to stop.
async fn is_due(ticks: &mut Interval, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        _ = ticks.tick() => true,
        _ = stop.wait_for(|stop| *stop) => false,
    }
}

/// The producer, which begins an event at each tick whether or not the last one is confirmed.
#[derive(Debug, Clone)]
struct Producing {
    amqp_url: String,
    namespace: String,
    record: Arc<Record>,
}

impl Producing {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let producer = Arc::new(self.connect().await);
        let mut ticks = interval(PUBLISH_INTERVAL);
        let mut publishing = JoinSet::new();
        while is_due(&mut ticks, &mut stop).await {
            publishing.spawn(self.clone().publish(producer.clone()));
            while publishing.try_join_next().is_some() {}
        }
        publishing.join_all().await;
    }

    async fn publish(self, mut producer: Arc<Producer>) {
        let event = Event::sms("victim");
        self.record.add_event(event.id());
        while let Err(error) = producer.try_publish(&event).await {
            self.record.add_fault(format!("publish: {error}"));
            producer = Arc::new(self.connect().await);
        }
        self.record.confirm_event(event.id());
    }

    async fn connect(&self) -> Producer {
        loop {
            match Producer::connect(&self.amqp_url, &self.namespace).await {
                Ok(producer) => return producer,
                Err(error) => self.record.add_fault(format!("connect: {error}")),
            }
            tokio::time::sleep(RECONNECT_DELAY).await;
        }
    }
}

/// The API user, who begins a call at each tick whether or not the last one is answered.
#[derive(Debug, Clone)]
struct Calling {
    base: String,
    token: String,
    paths: [String; 2],
    client: reqwest::Client,
    record: Arc<Record>,
}

impl Calling {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(CALL_INTERVAL);
        let mut calls = JoinSet::new();
        for number in 0.. {
            if !is_due(&mut ticks, &mut stop).await {
                break;
            }
            calls.spawn(self.clone().call(number % self.paths.len()));
            while calls.try_join_next().is_some() {}
        }
        calls.join_all().await;
    }

    async fn call(self, path: usize) {
        let path = &self.paths[path];
        let number = self.record.begin_call();
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let answer = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            Ok::<_, reqwest::Error>((status, response.text().await?))
        };
        let problem = match answer.await {
            Ok((200, _)) => None,
            Ok((status, text)) => Some(format!("GET {path}: {status} {text}")),
            Err(error) => Some(format!("GET {path}: {error:?}")),
        };
        self.record.end_call(number, problem);
    }
}
