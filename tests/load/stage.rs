//! The base of every measurement: a platform, endpoints, webhooks and a producer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use e2e::brand::{Brand, Webhook, put_type};
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::args::Args;
use crate::board::Board;
use crate::cpu::Meter;
use crate::sink::{Manner, Sink};
use crate::source::{Group, Source};

/// How long events in flight may take to arrive, which includes three attempts and the delays between them.
pub(crate) const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(120);
/// Concurrent requests to the API during the setup.
const CONCURRENT_REQUESTS: usize = 16;
/// Maximum number of groups of one brand, each with a type of its own.
const MAX_GROUPS_A_BRAND: u32 = 100;
/// How long it may take until all webhooks are served.
const SETUP_TIMEOUT: Duration = Duration::from_secs(300);

/// A platform with webhooks that have each received an event.
#[derive(Debug)]
pub(crate) struct Stage {
    // Fields are dropped in order, so that the platform can clean up in the broker.
    pub(crate) platform: Platform,
    pub(crate) source: Arc<Source>,
    pub(crate) board: Arc<Board>,
    pub(crate) sink: Sink,
    /// In the order of the endpoints' numbers.
    pub(crate) webhooks: Vec<(Brand, Webhook)>,
    fan_out: u32,
    _broker: Option<PrivateBroker>,
}

impl Stage {
    pub(crate) async fn new(args: &Args) -> Self {
        let broker = if args.own_broker { Some(PrivateBroker::start().await) } else { None };
        let mut builder = Platform::builder()
            .without_health_rule()
            .set("POSTRIDER_TOKEN_RATE", "1000000")
            .set("POSTRIDER_HTTP2", &args.http2.to_string())
            .routers(args.routers)
            .deliverers(args.deliverers);
        if let Some(broker) = &broker {
            builder = builder.broker(&broker.url());
        }
        let platform = builder.start().await;
        let board = Arc::new(Board::new(args.fan_out));
        let sink = Sink::start(&platform.authority, args.http2, Arc::clone(&board));
        let groups = create_groups(args.groups());
        let webhooks = create_webhooks(&platform, &groups, args, &sink).await;
        let source = Source::connect(&platform, groups, args.bytes, Arc::clone(&board)).await;
        let fan_out = args.fan_out;
        let stage = Self { platform, source, board, sink, webhooks, fan_out, _broker: broker };
        stage.deliver_first_event().await;
        stage
    }

    /// Publishes an event to each group and waits until each webhook has it.
    async fn deliver_first_event(&self) {
        for group in self.group_numbers() {
            self.source.publish_event(group).await;
        }
        self.wait_drained(SETUP_TIMEOUT).await;
    }

    pub(crate) fn group_numbers(&self) -> Vec<u32> {
        let groups = self.webhooks.len() / self.fan_out as usize;
        (0..u32::try_from(groups).expect("few enough")).collect()
    }

    /// Waits until every published event has arrived, or until the timeout.
    pub(crate) async fn wait_drained(&self, timeout: Duration) {
        let owed = self.board.published_events().len() * self.fan_out as usize;
        let arrived = async {
            // Repeated arrivals may hide missing ones here; the report counts exactly.
            while self.board.count_arrivals() < owed
                || (self.board.count_confirmed() as usize) < self.board.published_events().len()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let _ = tokio::time::timeout(timeout, arrived).await;
    }

    /// Moves a webhook to another endpoint, and waits until the deliverers have seen it.
    pub(crate) async fn move_to(&self, endpoint: u32, url: &str) {
        let (brand, webhook) = &self.webhooks[endpoint as usize];
        let _ = brand.patch_webhook(webhook, &json!({"endpoint": url})).await;
    }

    /// Changes the behaviour of a webhook's endpoint.
    pub(crate) async fn set_manner(&self, endpoint: u32, manner: Manner) {
        self.move_to(endpoint, &self.sink.url(manner, endpoint)).await;
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::new(&self.platform)
    }

    /// Returns how many webhooks each deliverer owns, once all are owned.
    pub(crate) async fn read_shares(&self) -> Vec<f64> {
        eventually("every webhook has an owner", SETUP_TIMEOUT, async || {
            let mut shares = Vec::new();
            for deliverer in &self.platform.deliverers {
                shares.push(deliverer.read_metric("postrider_deliverer_webhooks_owned").await);
            }
            #[expect(clippy::cast_precision_loss, reason = "few")]
            let all = self.webhooks.len() as f64;
            let owned: f64 = shares.iter().sum();
            if (owned - all).abs() < 0.5 { Ok(shares) } else { Err(format!("{shares:?}")) }
        })
        .await
    }
}

/// Spreads the groups over at least two brands, if there are two groups.
fn create_groups(number: u32) -> Vec<Group> {
    let of_a_brand = number.div_ceil(2).min(MAX_GROUPS_A_BRAND);
    let group = |n: u32| Group {
        brand: format!("brand-{}", n / of_a_brand),
        event_type: format!("NOTIFICATION.LOAD.G{}", n % of_a_brand),
    };
    (0..number).map(group).collect()
}

async fn create_webhooks(
    platform: &Platform,
    groups: &[Group],
    args: &Args,
    sink: &Sink,
) -> Vec<(Brand, Webhook)> {
    let support = platform.support();
    for event_type in groups.iter().map(|group| &group.event_type).collect::<BTreeSet<_>>() {
        put_type(&support, event_type, &json!({"description": "Something that makes load."})).await;
    }
    let mut brands = BTreeMap::new();
    for id in groups.iter().map(|group| &group.brand).collect::<BTreeSet<_>>() {
        brands.insert(id.clone(), platform.create_brand(id).await);
    }
    let one = |endpoint: u32| {
        let group = &groups[(endpoint / args.fan_out) as usize];
        let brand = brands[&group.brand].clone();
        let wanted = json!({
            "endpoint": sink.url(Manner::Well, endpoint),
            "events": [group.event_type],
            "maxConcurrency": args.max_concurrency,
        });
        async move {
            let webhook = brand.create_webhook_with(&wanted).await;
            (brand, webhook)
        }
    };
    let endpoints = 0..args.groups() * args.fan_out;
    stream::iter(endpoints).map(one).buffered(CONCURRENT_REQUESTS).collect().await
}
