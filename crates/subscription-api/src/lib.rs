//! The HTTP API of Postrider: webhooks and their events for brands, brands and the catalogue for
//! support. It knows nothing of how events are matched or sent.

pub mod api;
pub mod auth;
pub mod config;
pub mod http;
pub mod openapi;
mod platform_metrics;
pub mod resources;
pub mod routes;
pub mod site;
mod telemetry;
pub mod validation;

use std::net::SocketAddr;
use std::time::Duration;

use api::{Api, ApiParts};
use auth::rate_limiter::TokenRateLimiter;
use broker::{Link, Prober, Publisher, RejectedQueue, Topology};
pub use config::Config;
use runtime::error::Chain;
use runtime::ops::{self, ListenError, Readiness};
use runtime::tasks;
use runtime::telemetry::PrometheusHandle;
use store::Store;
use store::instances::{self, Instance, RENEW_EVERY};
use store::vault::Vault;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use validation::endpoint_resolver::EndpointResolver;

/// How long a stop waits for requests in flight. The contract allows the deliverer's request timeout
/// and 5 s (§7); a request of ours that takes longer is one whose client sends too slowly.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How often the rate limits forget what no longer matters.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

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
    /// Secrets could not be sealed anew.
    #[error("the secrets could not be sealed anew")]
    Reencrypt(#[from] store::StoreError),
    /// Some secrets could not be opened.
    #[error("{0} secrets are sealed under a key that is not given; set POSTRIDER_OLD_MASTER_KEYS")]
    Unreadable(usize),
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
    if config.reseal_secrets {
        return reencrypt_secrets(&config).await;
    }
    telemetry::register_metrics();
    let readiness = Readiness::default();
    ops::serve(config.ops_listen, readiness.clone(), metrics).await?;
    let address = config.listen;
    let listener =
        TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
    let api = build_api(&config);
    let me = Instance::new("subscription-api", env!("CARGO_PKG_VERSION"), config.store.retention);
    let prober =
        Prober::new(Link::new(&config.broker, "postrider subscription-api watch"), &config.broker.namespace);
    tasks::spawn_essential(
        "database",
        maintain_database(api.clone(), config.store, me.clone(), readiness.clone()),
    );
    tasks::spawn_essential("broker", maintain_broker(api.clone(), prober, readiness));
    tasks::spawn_essential("sweep", sweep_rate_limits(api.clone()));
    tasks::spawn_essential("figures", platform_metrics::measure_forever(api.clone()));
    info!(%address, "serving the API");
    http::server::serve(listener, routes::router(api.clone()), stop).await;
    let _ = instances::leave(&api.store, &me).await;
    Ok(())
}

fn build_api(config: &Config) -> Api {
    let link = |purpose: &str| Link::new(&config.broker, format!("postrider subscription-api {purpose}"));
    let names = config.broker.namespace.clone();
    let ladder = config.retry.schedule().ladder();
    Api::from(ApiParts {
        store: Store::new(&config.store, "postrider subscription-api"),
        keyring: Vault::of(&config.keyring),
        retry_delays: ladder.steps().to_vec(),
        topology: Topology::new(link("topology"), names.clone(), Some(ladder)),
        publisher: Publisher::new(link("publisher")),
        rejected: RejectedQueue::new(link("rejected"), names.clone()),
        names,
        resolver: EndpointResolver::new(config.allow_networks.clone()),
        support_token: config.support_token.clone(),
        rate_limiter: TokenRateLimiter::new(config.token_rate),
        retention: config.store.retention,
        health: config.health.rule(),
    })
}

/// Seals all secrets under the master key of the settings.
async fn reencrypt_secrets(config: &Config) -> Result<(), StartError> {
    let store = Store::new(&config.store, "postrider reseal");
    let resealed = store::reseal::all(&store, &Vault::of(&config.keyring)).await?;
    info!(webhooks = resealed.done, "sealed secrets anew");
    for error in &resealed.unreadable {
        warn!(error = %Chain(error), "left as it is");
    }
    match resealed.unreadable.len() {
        0 => Ok(()),
        left => Err(StartError::Unreadable(left)),
    }
}

async fn maintain_database(api: Api, settings: store::StoreSettings, me: Instance, readiness: Readiness) {
    store::boot::make_ready(&api.store, &settings, &readiness).await;
    tasks::spawn_essential("database watch", store::boot::watch(api.store.clone(), readiness));
    loop {
        if let Err(error) = instances::renew(&api.store, &me).await {
            warn!(error = %Chain(&error), "could not renew this instance");
        }
        tokio::time::sleep(RENEW_EVERY).await;
    }
}

async fn maintain_broker(api: Api, prober: Prober, readiness: Readiness) {
    broker::boot::make_ready(&api.topology, &readiness).await;
    broker::boot::watch(api.topology.clone(), prober, readiness).await;
}

async fn sweep_rate_limits(api: Api) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        api.rate_limiter.remove_expired();
    }
}
