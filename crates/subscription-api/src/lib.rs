//! The HTTP API of Postrider: webhooks and their events for brands; brands, the catalogue and operations for support.
//!
//! [`run`] wires the parts and serves until it is told to stop. A request passes through them in this order:
//!
//! - `http::server` accepts the connection within the bounds of `runtime::http_server`, `http::middleware` bounds the time and contains panics;
//! - `routes` lists every route on one screen, with the handler that serves it;
//! - `auth` turns the token into a caller and decides what the caller may reach;
//! - `security_log` counts refused requests and reads of secrets for the log;
//! - `budget` bounds what the requests of one brand use at once: requests in flight, bodies, publishing, responses;
//! - `http` has the extractors of bodies, queries and paths, and the common responses: pages, cursors, problems;
//! - `validation` reads the body field by field and collects every error before the request is refused;
//! - `resources` has the handlers, a file or folder a resource. A handler that writes does so in one transaction
//!   together with its audit entry;
//! - `intake` checks events against the catalogue and the brand's quotas before they are published;
//! - `openapi` completes the document that the handlers describe, and `site` serves the console, the documentation
//!   and the API reference from inside the binary.
//!
//! The API keeps nothing that a restart would lose: the state is in PostgreSQL and RabbitMQ. It does not know how
//! events are matched or delivered; it only publishes events, reads recorded deliveries, and queues redeliveries.
//! The modules are private, because no other crate uses them. [`testing`] re-exports the parts that the tests drive.

mod api;
mod auth;
mod budget;
mod config;
mod http;
mod intake;
mod keyed_permits;
mod openapi;
mod platform_metrics;
mod resources;
mod routes;
mod security_log;
mod site;
mod telemetry;
mod validation;

use std::net::SocketAddr;
use std::time::Duration;

use api::{Api, ApiParts};
use auth::rate_limiter::TokenRateLimiter;
use auth::token_directory::{self, TokenDirectory};
use auth::token_uses;
use broker::{Link, Prober, Publisher, RejectedQueue, Topology};
use budget::Budgets;
pub use config::Config;
use intake::EventIntake;
use runtime::error::Chain;
use runtime::http_server;
use runtime::ops::{self, ListenError};
use runtime::readiness::Readiness;
use runtime::startup_notices::log_notices;
use runtime::tasks;
use runtime::telemetry::PrometheusHandle;
use store::Store;
use store::api::overview::BacklogMeter;
use store::instances::{self, Instance, RENEW_INTERVAL};
use store::secrets::keyring::SecretKeyring;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use validation::endpoint_resolver::EndpointResolver;

/// The parts that the integration tests, the fuzz targets and the benchmark of this crate drive on their own.
#[doc(hidden)]
pub mod testing {
    pub use crate::api::{Api, ApiParts};
    pub use crate::auth::rate_limiter::TokenRateLimiter;
    pub use crate::auth::token_directory::TokenDirectory;
    pub use crate::budget::Budgets;
    pub use crate::http::body::{JsonBody, MAX_BODY_BYTES};
    pub use crate::http::problem::{Problem, Result};
    pub use crate::http::query::Query;
    pub use crate::http::{cursor, server};
    pub use crate::intake::EventIntake;
    pub use crate::resources::events::listing::EventListing;
    pub use crate::resources::webhooks::patch::WebhookPatch;
    pub use crate::routes::build_router;
    pub use crate::validation::endpoint_resolver::EndpointResolver;
    pub use crate::validation::errors::ValidationErrors;
    pub use crate::validation::fields::Fields;
    pub use crate::validation::validators;
}

/// Longest time that a stop waits for requests in flight. It may last the request timeout of the deliverer plus 5 s
/// (contract §7); a request that takes longer has a client that sends too slowly.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Interval at which the API looks for custom headers that are not sealed.
const SEAL_INTERVAL: Duration = Duration::from_secs(15);
/// Interval at which the tables of tokens and brands are rid of expired entries.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// The reason why the API could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operations listener could not be opened.
    #[error(transparent)]
    Ops(#[from] ListenError),
    /// The API's own listener could not be opened.
    #[error("cannot listen on {address} (POSTRIDER_API_LISTEN)")]
    Listen {
        /// The address of the setting.
        address: SocketAddr,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The secrets could not be re-encrypted.
    #[error("the secrets could not be re-encrypted")]
    Reencrypt(#[from] store::StoreError),
    /// Some secrets could not be decrypted.
    #[error("{0} secrets are encrypted with a key that was not given; set POSTRIDER_OLD_MASTER_KEYS")]
    Unreadable(usize),
}

/// Runs the API until `stop`. It listens at once and responds 503 while PostgreSQL is not available.
///
/// # Errors
/// When a listener cannot be opened, or when re-encrypting fails. The API waits for PostgreSQL and RabbitMQ instead.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), StartError> {
    if config.reencrypt_secrets {
        return reencrypt_secrets(&config).await;
    }
    log_notices(&config.startup_notices());
    register_metrics();
    let readiness = Readiness::default();
    ops::start_listener(config.ops_listen, readiness.clone(), metrics).await?;
    let address = config.listen;
    let listener =
        http_server::bind_listener(address).map_err(|source| StartError::Listen { address, source })?;
    let me = Instance::new("subscription-api", env!("CARGO_PKG_VERSION"), config.store.retention);
    let api = build_api(&config, &me);
    let prober =
        Prober::new(Link::new(&config.broker, "postrider subscription-api watch"), &config.broker.namespace);
    tasks::spawn_essential(
        "database",
        maintain_database(api.clone(), config.store, me.clone(), readiness.clone()),
    );
    tasks::spawn_essential("broker", maintain_broker(api.clone(), prober, readiness));
    tasks::spawn_essential("sweep", sweep_tables(api.clone()));
    tasks::spawn_essential("token uses", write_token_uses(api.clone()));
    tasks::spawn_essential("platform metrics", platform_metrics::measure_forever(api.clone()));
    tasks::spawn_essential("security log", api.security_log.clone().report_forever());
    info!(%address, "serving the API");
    http::server::serve(listener, routes::build_router(api.clone()), config.trusted_proxies, stop).await;
    api.security_log.report();
    let _ = instances::remove_instance(&api.control, &me).await;
    Ok(())
}

fn register_metrics() {
    let all = [
        &telemetry::METRICS[..],
        &platform_metrics::METRICS,
        &runtime::names::METRICS,
        &store::pool::METRICS,
    ]
    .concat();
    runtime::metrics::register_metrics(&all, env!("CARGO_PKG_VERSION"));
    telemetry::init_counters();
}

fn build_api(config: &Config, me: &Instance) -> Api {
    let link = |purpose: &str| Link::new(&config.broker, format!("postrider subscription-api {purpose}"));
    let names = config.broker.namespace.clone();
    let levels = config.retry.schedule().delay_levels();
    let control = Store::for_control(&config.store, "postrider subscription-api control");
    Api::from(ApiParts {
        store: Store::for_requests(&config.store, "postrider subscription-api"),
        control: control.clone(),
        tokens: TokenDirectory::new(Store::with_connections(
            &config.store,
            "postrider subscription-api tokens",
            token_directory::CONNECTIONS,
        )),
        budgets: Budgets::new(config.store.database_pool),
        backlog: BacklogMeter::default(),
        keyring: SecretKeyring::from_settings(&config.keyring),
        retry_delays: levels.delays().to_vec(),
        topology: Topology::new(link("topology"), names.clone(), Some(levels)),
        publisher: Publisher::new(link("publisher")),
        intake: EventIntake::new(me.id, control),
        rejected: RejectedQueue::new(link("rejected"), names.clone()),
        names,
        resolver: EndpointResolver::start(config.allow_networks.clone(), &config.names),
        support_token: config.support_token.clone(),
        rate_limiter: TokenRateLimiter::new(config.token_rate),
        retention: config.store.retention,
        health: config.health.rule(),
    })
}

/// Re-encrypts every secret with the master key of the settings.
async fn reencrypt_secrets(config: &Config) -> Result<(), StartError> {
    let store = Store::new(&config.store, "postrider reseal");
    let reencrypted =
        store::secrets::reencrypt::reencrypt_secrets(&store, &SecretKeyring::from_settings(&config.keyring))
            .await?;
    info!(webhooks = reencrypted.done, sealed = reencrypted.sealed, "re-encrypted the secrets and headers");
    for error in &reencrypted.unreadable {
        warn!(error = %Chain(error), "could not re-encrypt a secret");
    }
    match reencrypted.unreadable.len() {
        0 => Ok(()),
        left => Err(StartError::Unreadable(left)),
    }
}

/// Seals the custom headers that the release before wrote, as soon as none of its processes may read them.
async fn seal_headers(api: Api) {
    loop {
        match store::secrets::headers::seal_plain_headers(&api.control, &api.keyring).await {
            Ok(0) => {}
            Ok(webhooks) => info!(webhooks, "sealed the custom headers of webhooks"),
            Err(error) => warn!(error = %Chain(&error), "could not seal the custom headers; retrying"),
        }
        tokio::time::sleep(SEAL_INTERVAL).await;
    }
}

async fn maintain_database(api: Api, settings: store::StoreSettings, me: Instance, readiness: Readiness) {
    store::startup::wait_until_ready(&api.control, &settings, &api.names.to_string(), &readiness).await;
    let watching = store::startup::monitor_database(api.store.clone(), api.control.clone(), readiness);
    tasks::spawn_essential("database watch", watching);
    tasks::spawn_essential("seal headers", seal_headers(api.clone()));
    tasks::spawn_essential("rejected jobs", resources::rejected::worker::work_forever(api.clone()));
    loop {
        if let Err(error) = instances::renew_instance(&api.control, &me).await {
            warn!(error = %Chain(&error), "could not renew the entry of this process");
        }
        api.store.update_metrics();
        tokio::time::sleep(RENEW_INTERVAL).await;
    }
}

async fn maintain_broker(api: Api, prober: Prober, readiness: Readiness) {
    broker::startup::wait_until_ready(&api.topology, &readiness).await;
    broker::startup::monitor(api.topology.clone(), prober, readiness).await;
}

async fn write_token_uses(api: Api) {
    loop {
        tokio::time::sleep(token_uses::WRITE_INTERVAL).await;
        api.tokens.write_uses().await;
    }
}

async fn sweep_tables(api: Api) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        api.rate_limiter.remove_expired();
        api.tokens.remove_expired();
        api.budgets.remove_unused();
    }
}
