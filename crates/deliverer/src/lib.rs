//! Delivers queued events to their endpoints. Each webhook's queue has one owner among the
//! replicas; an attempt gives facts, `domain` decides what follows, the handler carries it out.
//! It knows nothing of event types or of the API.

pub mod config;

mod assignment;
mod consumer;
mod delivery;
mod health;
mod limiter;
mod outbox;
mod recording;
mod redelivery;
mod repair;
mod retry_queue;
mod stall_detector;
mod telemetry;
mod webhook_cache;

use std::sync::Arc;

use broker::{Consumers, GuardedPublisher, Link, Prober, Publisher, Topology};
use runtime::ops::{self, ListenError, Readiness};
use runtime::progress::Progress;
use runtime::tasks;
use runtime::telemetry::PrometheusHandle;
use runtime::traces::Traces;
use store::Store;
use store::instances::Instance;
use store::vault::Vault;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

pub use config::Config;
pub use delivery::client;

use assignment::Fleet;
use consumer::worker::Shared;
use delivery::Handler;
use delivery::in_flight::InFlight;
use health::Health;
use limiter::attempt_rate::Tempo;
use recording::attempt_recorder::Recorder;
use recording::delivery_lookup::Standings;
use repair::unroutable;
use retry_queue::Waits;
use stall_detector::Pulse;
use webhook_cache::Directory;

/// Runs the deliverer until `stop`.
///
/// # Errors
/// When the operations listener cannot be opened. All else is waited for.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let client = match client::build(&config.http) {
        Ok(client) => client,
        Err(error) => runtime::settings::refuse(&error.to_string()),
    };
    // Refuses a bad window before anything starts.
    let schedule = config.retry.schedule();
    telemetry::describe();
    let readiness = Readiness::default();
    ops::serve(config.ops_listen, readiness.clone(), metrics).await?;
    let link = |purpose: &str| Link::new(&config.broker, format!("postrider deliverer {purpose}"));
    let names = config.broker.namespace.clone();
    let store = Store::new(&config.store, "postrider deliverer");
    let topology = Topology::new(link("topology"), names.clone(), Some(schedule.ladder()));
    tokio::select! {
        () = stop.cancelled() => return Ok(()),
        () = prepare(&config, &store, &topology, Prober::new(link("watch"), &names), &readiness) => {}
    }
    let rule = config.health.rule();
    let directory = Arc::new(Directory::new(store.clone(), Vault::of(&config.vault)));
    let publisher = Publisher::new(link("publisher"));
    let prober = Prober::new(link("prober"), &names);
    // A wait queue that answers nothing blocks the connection: only waits have it.
    let waits = GuardedPublisher::new(Publisher::new(link("waits")), prober.clone());
    let batches = Store::for_batches(&config.store, "postrider deliverer recorder");
    let handler = Handler {
        store: store.clone(),
        publisher,
        waits: Waits::new(waits, names.clone(), schedule.ladder(), readiness.watch_progress("waits")),
        names,
        directory: Arc::clone(&directory),
        standings: Standings::start(batches.clone(), readiness.watch_progress("standings")),
        recorder: Recorder::start(
            batches,
            store::activity::slice_for(rule.window),
            readiness.watch_progress("recording"),
        ),
        client,
        request_timeout: config.http.request_timeout,
        schedule,
        traces: Traces::start(&config.traces, "deliverer", env!("CARGO_PKG_VERSION")),
        in_flight: InFlight::default(),
        pulse: Pulse::start(),
        finishing: readiness.watch_progress("finishing"),
        health: Health::start(store.clone(), Arc::clone(&directory), rule),
    };
    tasks::spawn_essential("wait queues", handler.waits.clone().heal(topology.clone()));
    let consumers = Consumers::new(link("consumer"));
    let mender = Publisher::new(link("mender"));
    let (tempo, tracker) = (Tempo::start(), TaskTracker::new());
    let shared = Arc::new(Shared { handler, consumers, prober, mender, tempo, topology, tracker });
    let me = Instance::new("deliverer", env!("CARGO_PKG_VERSION"), config.store.retention);
    serve(store, directory, shared, readiness.watch_progress("unrouted"), me, &stop).await;
    Ok(())
}

/// Waits for both servers, in either order.
async fn prepare(config: &Config, store: &Store, topology: &Topology, prober: Prober, readiness: &Readiness) {
    let database = async {
        store::boot::make_ready(store, &config.store, readiness).await;
        tasks::spawn_essential("database watch", store::boot::watch(store.clone(), readiness.clone()));
    };
    let broker = async {
        broker::boot::make_ready(topology, readiness).await;
        let watching = broker::boot::watch(topology.clone(), prober, readiness.clone());
        tasks::spawn_essential("broker watch", watching);
    };
    tokio::join!(database, broker);
}

/// Serves until `stop`, then finishes what is in flight and says goodbye.
async fn serve(
    store: Store,
    directory: Arc<Directory>,
    shared: Arc<Shared>,
    unrouted: Progress,
    me: Instance,
    stop: &CancellationToken,
) {
    info!(instance = %me.id, "delivering");
    let unrouted = unroutable::serve(Arc::clone(&shared), unrouted, stop.clone());
    shared.tracker.spawn(tasks::until_stopped("unrouted", stop.clone(), unrouted));
    let outbox = outbox::serve(store.clone(), Arc::clone(&shared), stop.clone());
    shared.tracker.spawn(tasks::until_stopped("outbox", stop.clone(), outbox));
    Fleet::new(store, directory, Arc::clone(&shared), me).serve(stop).await;
    shared.tracker.close();
    shared.tracker.wait().await;
    shared.consumers.close().await;
    shared.handler.publisher.close().await;
    shared.handler.traces.clone().stop().await;
}
