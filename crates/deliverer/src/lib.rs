//! Delivers queued events to the endpoints of webhooks.
//!
//! # One delivery, from the queue to the socket and back
//!
//! 1. `assignment` computes which webhooks this replica serves, and starts a worker for each.
//! 2. `consumer::worker` subscribes to the webhook's queue through `consumer::subscriber`, and receives messages;
//!    `consumer::state` says where the subscription stands. A message holds up to eight deliveries.
//! 3. `consumer::message` decodes a message and hands its deliveries to `handler`, each in a slot.
//! 4. `handler::Deliverer::take_step` waits until no other task of this process has the delivery
//!    (`handler::in_flight`).
//! 5. `handler::admission` decides what to do with the delivery: attempt it, let it wait, end it, drop it or requeue it.
//!    The rules are in `domain::admission`. The answers come from `webhook_cache` and `recording::delivery_lookup`.
//! 6. `limiter` grants a permit for the endpoint, and `handler::admission` decides again, because minutes may have
//!    passed.
//! 7. `delivery::attempt` makes the attempt: `delivery::request` builds and signs the request,
//!    `delivery::exchange` sends it through `delivery::client` and returns the facts.
//! 8. `recording` records the attempt, judges the webhook's health (`health`), and publishes the retry into a delay
//!    queue (`retry_queue`).
//! 9. `consumer::message` acknowledges the message.
//!
//! Three things go beside this walk. `redelivery` sends deliveries from the database: retries whose message has not
//! come, and redeliveries that somebody asked for; they enter the walk at step 4. `repair` recreates queues that
//! RabbitMQ lost. `outbox` publishes messages that a transaction wrote.
//!
//! The crate `domain` decides, and this crate carries out: `domain::admission` and `handler::admission`,
//! `domain::webhook::health` and `health`, `domain::redelivery_pacing` and `redelivery`, `domain::queue_repair` and `repair`.
//!
//! The order of steps 7 to 9 is the promise: no message is acknowledged before its outcome is recorded and its retry
//! confirmed or left to the database. The crate knows nothing of event types or of the API.

pub mod config;

mod assignment;
mod consumer;
mod delivery;
mod error;
mod handler;
mod health;
mod limiter;
mod outbox;
mod recording;
mod redelivery;
mod repair;
mod retry_queue;
mod services;
mod stall_detector;
mod telemetry;
mod webhook_cache;

use broker::{Prober, Topology};
use domain::delivery::retry::RetrySchedule;
use runtime::ops::{self, ListenError};
use runtime::readiness::Readiness;
use runtime::startup_notices::log_notices;
use runtime::tasks;
use runtime::telemetry::PrometheusHandle;
use store::Store;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use delivery::client;
use services::{Services, Stores, open_link};

/// Runs the deliverer until `stop`.
///
/// # Errors
/// When the operations listener cannot be opened. The deliverer waits for both servers, however long that takes.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let client = match client::build(&config.http) {
        Ok(client) => client,
        Err(error) => runtime::settings::refuse(&error.to_string()),
    };
    // Refuses a window that is not valid before anything starts.
    let schedule = config.retry.schedule();
    log_notices(&config.startup_notices());
    telemetry::describe_metrics();
    let readiness = Readiness::default();
    ops::start_listener(config.ops_listen, readiness.clone(), metrics).await?;
    let store = Store::in_index_order(&config.store, "postrider deliverer");
    let control = Store::for_control(&config.store, "postrider deliverer control");
    let topology = declare_topology(&config, &schedule);
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = wait_for_servers(&config, &store, &control, &topology, &readiness) => {}
    }
    Services::start(&config, client, schedule, Stores::new(&config, store, control), topology, &readiness)
        .serve(&stop)
        .await;
    Ok(())
}

fn declare_topology(config: &Config, schedule: &RetrySchedule) -> Topology {
    let names = config.broker.namespace.clone();
    Topology::new(open_link(config, "topology"), names, Some(schedule.delay_levels()))
}

/// Waits for both servers, in either order, and watches them from then on.
async fn wait_for_servers(
    config: &Config,
    store: &Store,
    control: &Store,
    topology: &Topology,
    readiness: &Readiness,
) {
    let prober = Prober::new(open_link(config, "watch"), &config.broker.namespace);
    let database = async {
        store::startup::wait_until_ready(
            store,
            &config.store,
            &config.broker.namespace.to_string(),
            readiness,
        )
        .await;
        tasks::spawn_essential(
            "database watch",
            store::startup::monitor_database(store.clone(), control.clone(), readiness.clone()),
        );
    };
    let broker = async {
        broker::startup::wait_until_ready(topology, readiness).await;
        let watching = broker::startup::monitor(topology.clone(), prober, readiness.clone());
        tasks::spawn_essential("broker watch", watching);
    };
    tokio::join!(database, broker);
}
