//! The HTTP API of Postrider: webhooks and their events for brands, brands and the catalogue for
//! support. It knows nothing of how events are matched or sent.

pub mod api;
pub mod auth;
pub mod body;
pub mod config;
pub mod cursor;
pub mod docs;
mod events;
pub mod faults;
pub mod fields;
pub mod layers;
pub mod leftover;
pub mod listing;
pub mod offer;
pub mod openapi;
pub mod page;
pub mod patch;
pub mod path;
pub mod problem;
pub mod query;
pub mod rate;
pub mod read;
pub mod requests;
pub mod resolve;
pub mod routes;
pub mod server;
pub mod views;
pub mod webhook_edit;

use std::net::SocketAddr;
use std::time::Duration;

use api::{Api, Parts};
use broker::{Link, Topology};
pub use config::Config;
use rate::Gate;
use resolve::Resolver;
use runtime::error::Chain;
use runtime::ops::{self, ListenError, Readiness};
use runtime::telemetry::PrometheusHandle;
use store::Store;
use store::instances::{self, Instance, RENEW_EVERY};
use store::vault::Vault;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long a stop waits for requests in flight. The contract allows the deliverer's request timeout
/// and 5 s (§7); a request of ours that takes longer is one whose client sends too slowly.
pub const LONGEST_IN_FLIGHT: Duration = Duration::from_secs(15);
/// How often the rate limits forget what no longer matters.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// The API could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operations listener could not be opened.
    #[error(transparent)]
    Ops(#[from] ListenError),
    /// The API's own listener could not be opened.
    #[error("cannot listen on {address} (POSTRIDER_API_LISTEN)")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// Runs the API until `stop`. It listens at once; while PostgreSQL is away it answers 503.
///
/// # Errors
/// When a listener cannot be opened. All else is waited for.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let readiness = Readiness::default();
    ops::serve(config.ops_listen, readiness.clone(), metrics).await?;
    let address = config.listen;
    let listener =
        TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
    let api = build(&config);
    let me = Instance::new("subscription-api", env!("CARGO_PKG_VERSION"));
    tokio::spawn(tend_database(api.clone(), config.store, me.clone(), readiness.clone()));
    tokio::spawn(tend_broker(api.topology.clone(), readiness));
    tokio::spawn(sweep(api.clone()));
    info!(%address, "serving the API");
    server::serve(listener, routes::router(api.clone()), stop).await;
    let _ = instances::leave(&api.store, &me).await;
    Ok(())
}

fn build(config: &Config) -> Api {
    let link = Link::new(&config.broker, "postrider subscription-api");
    Api::from(Parts {
        store: Store::new(&config.store, "postrider subscription-api"),
        vault: Vault::new(&config.master_key),
        topology: Topology::new(link, config.broker.namespace.clone(), None),
        resolver: Resolver::new(config.allow_networks.clone()),
        support_token: config.support_token.clone(),
        gate: Gate::new(config.token_rate),
        retention: config.store.retention,
    })
}

async fn tend_database(api: Api, settings: store::StoreSettings, me: Instance, readiness: Readiness) {
    store::boot::prepare(&api.store, &settings).await;
    readiness.set_database(true);
    tokio::spawn(store::boot::watch(api.store.clone(), readiness));
    loop {
        if let Err(error) = instances::renew(&api.store, &me).await {
            warn!(error = %Chain(&error), "could not renew this instance");
        }
        tokio::time::sleep(RENEW_EVERY).await;
    }
}

async fn tend_broker(topology: Topology, readiness: Readiness) {
    broker::boot::prepare(&topology).await;
    readiness.set_broker(true);
    broker::boot::watch(topology, readiness).await;
}

async fn sweep(api: Api) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        api.gate.sweep();
    }
}
