//! The bare request, with only the deliverer's own client and signature.

use std::sync::Arc;
use std::time::Duration;

use deliverer::client::{Client, HttpSettings, NameSettings};
use domain::delivery::envelope::{self, EventHead};
use domain::ids::{AttemptId, EventId, WebhookId};
use domain::webhook::signature::{Secret, Signer};
use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use tokio::task::JoinSet;

use super::limit::Limit;
use crate::args::Args;
use crate::board::Board;
use crate::sink::{Manner, Sink};
use crate::source;
use crate::stage::Stage;
use crate::window::Latency;

/// Maximum number of requests in flight, the same as the client's kept connections.
const MAX_IN_FLIGHT: u32 = 100;
/// The deliverer's own defaults.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Start of the latency measurement that does not count, because connections are opened.
const WARM_UP: Duration = Duration::from_secs(1);

/// Sends requests to an endpoint of its own.
pub(super) struct Poster {
    client: Client,
    signer: Signer,
    url: Url,
    head: EventHead,
    data: String,
    pub(super) board: Arc<Board>,
    _sink: Sink,
}

/// Measures the maximum number of requests a second.
pub(super) async fn measure_throughput(stage: &Stage, args: &Args) -> Limit {
    let poster = Arc::new(Poster::new(stage, args));
    let in_flight = MAX_IN_FLIGHT.min(args.webhooks * u32::from(args.max_concurrency));
    let mut posting = JoinSet::new();
    for _ in 0..in_flight {
        let poster = Arc::clone(&poster);
        posting.spawn(async move {
            loop {
                poster.post(&poster.board.record_publish(0)).await;
            }
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let meter = stage.meter();
    let from = poster.board.now();
    let count = poster.board.count_arrivals();
    let before = meter.read_times();
    tokio::time::sleep(args.span()).await;
    let to = poster.board.now();
    let done = poster.board.count_arrivals() - count;
    let after = meter.read_times();
    Limit::from_readings(done, (to - from).as_secs_f64(), &before, &after)
}

/// Measures the latency at the rate of the open loop.
pub(super) async fn measure_latency(stage: &Stage, args: &Args) -> Latency {
    let poster = Arc::new(Poster::new(stage, args));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / args.rate.max(1));
    let mut posting = JoinSet::new();
    while poster.board.now() < args.span() + WARM_UP {
        ticks.tick().await;
        let poster = Arc::clone(&poster);
        posting.spawn(async move { poster.post(&poster.board.record_publish(0)).await });
        while posting.try_join_next().is_some() {}
    }
    posting.join_all().await;
    poster.latency_after(WARM_UP)
}

impl Poster {
    pub(super) fn new(stage: &Stage, args: &Args) -> Self {
        let settings = HttpSettings {
            connect_timeout: CONNECT_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            allow_networks: "127.0.0.0/8".parse().expect("a network"),
            extra_ca_file: stage.platform.dir().join("ca.pem").display().to_string(),
            http2: args.http2,
            names: NameSettings::default(),
        };
        let board = Arc::new(Board::new(1));
        let sink = Sink::start(&stage.platform.authority, args.http2, Arc::clone(&board));
        let head = EventHead {
            id: EventId::generate(0),
            brand_id: "brand-0".parse().expect("a brand"),
            created: chrono::Utc::now(),
            event_type: "NOTIFICATION.LOAD.G0".parse().expect("a type"),
        };
        // The amount of data that fits into a message of this size.
        let empty = source::event_message(&head.id.to_string(), "brand-0", head.event_type.as_str(), 0).len();
        Self {
            client: deliverer::client::build(&settings).expect("the deliverer's client"),
            signer: Signer::new(&Secret::generate()),
            url: sink.url(Manner::Uncounted, 0).parse().expect("a URL"),
            head,
            data: source::event_data(args.bytes.saturating_sub(empty) + source::event_data(0).len()),
            board,
            _sink: sink,
        }
    }

    /// Returns the latency of the events that the board published after the warm-up.
    pub(super) fn latency_after(&self, warm_up: Duration) -> Latency {
        let published = self.board.published_events();
        let took = self.board.arrivals().into_iter().filter_map(|arrival| {
            let event = published.get(arrival.event as usize).filter(|event| event.at > warm_up)?;
            Some(arrival.at.saturating_sub(event.at))
        });
        Latency::of(took.collect())
    }

    /// Sends the event that the board published as `id`.
    pub(super) async fn post(&self, id: &str) {
        let at = chrono::Utc::now().timestamp();
        let webhook = WebhookId(uuid::Uuid::nil());
        let body = envelope::encode_envelope(&self.head, webhook, AttemptId::generate(0), &self.data);
        let header = |text: String| HeaderValue::try_from(text).expect("a header");
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", header(id.to_owned()));
        headers.insert("webhook-timestamp", header(at.to_string()));
        headers.insert("webhook-signature", header(self.signer.sign(id, at, &body)));
        let (brand, url) = (self.head.brand_id.clone(), self.url.clone());
        let facts = self.client.post(brand, url, headers, body, REQUEST_TIMEOUT).await;
        assert_eq!(facts.error, None, "{:?} at {}", facts.outcome, self.url);
    }
}
