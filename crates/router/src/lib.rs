//! Routes events to webhooks: one batch at a time from decode over match and store to publish, and
//! only then the acknowledgement. It knows nothing of endpoints or HTTP.

mod batch;
pub mod config;
mod queues;
pub mod subscriptions;
mod telemetry;

use std::sync::Arc;
use std::time::Duration;

use broker::{Consumers, GuardedPublisher, Link, Prober, Publisher, Topology};
use runtime::error::Chain;
use runtime::ops::{self, ListenError, Readiness};
use runtime::tasks;
use runtime::telemetry::PrometheusHandle;
use runtime::traces::Traces;
use store::Store;
use store::instances::{self, Instance, RENEW_EVERY};
use store::maintenance::{Maintained, maintain};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use batch as handler;
use batch::{
    accepted_event as take, current_version as current, publish as dispatch, store_batch as storing,
};
pub use config::Config;
use dispatch::Dispatch;
use handler::Handler;
use index::Index;
use intake::{Intake, Source};
use queues::{consumer as intake, failover as intake_watch, legacy, quarantine, rejections};
use rejections::Rejections;
pub use subscriptions::index;
use telemetry as events;

/// The longest that a batch takes when both servers answer.
pub const LONGEST_IN_FLIGHT: Duration = Duration::from_secs(15);
/// How often it is shown how many queues are passed by.
const SHOW_INTERVAL: Duration = Duration::from_secs(5);
/// How long refused messages may take to be published when the process stops.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often partitions and epochs are looked after,
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(600);
/// and how soon again when something could not be done, such as beside a dump.
const MAINTENANCE_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Runs the router until `stop`.
///
/// # Errors
/// When the operations listener cannot be opened. All else is waited for.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    events::describe();
    let readiness = Readiness::default();
    ops::serve(config.ops_listen, readiness.clone(), metrics).await?;
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        router = start(&config, readiness, &stop) => {
            Box::pin(router.serve()).await;
            Ok(())
        }
    }
}

struct Router {
    intake: Intake,
    /// Consume the queue of earlier versions.
    legacy: Consumers,
    traces: Traces,
    publisher: Publisher,
    store: Store,
    me: Instance,
}

/// Waits for both servers, in either order, and sets up all that runs beside the batches.
async fn start(config: &Config, readiness: Readiness, stop: &CancellationToken) -> Router {
    let store = Store::for_batches(&config.store, "postrider router");
    let names = config.broker.namespace.clone();
    let link = |purpose: &str| Link::new(&config.broker, format!("postrider router {purpose}"));
    let topology = Topology::new(link("topology"), names.clone(), None);
    let database = async {
        store::boot::make_ready(&store, &config.store, &readiness).await;
        tasks::spawn_essential("database watch", store::boot::watch(store.clone(), readiness.clone()));
    };
    let broker = async {
        broker::boot::make_ready(&topology, &readiness).await;
        let prober = Prober::new(link("watch"), &names);
        let watching = broker::boot::watch(topology.clone(), prober, readiness.clone());
        tasks::spawn_essential("broker watch", watching);
    };
    tokio::join!(database, broker);
    let me = Instance::new("router", env!("CARGO_PKG_VERSION"), config.store.retention);
    tasks::spawn_essential("renew", renew(store.clone(), me.clone()));
    if !config.store.no_migrate {
        tasks::spawn_essential("maintain", keep_maintained(store.clone(), config.store.retention));
    }
    let publisher = Publisher::new(link("publisher"));
    let prober = Prober::new(link("prober"), &names);
    let progress = readiness.watch_progress("routing");
    let guarded = GuardedPublisher::new(publisher.clone(), prober);
    let shown = guarded.clone();
    let traces = Traces::start(&config.traces, "router", env!("CARGO_PKG_VERSION"));
    let handler = Handler {
        store: store.clone(),
        dispatch: Dispatch::new(store.clone(), guarded, &names, progress.clone()),
        progress: progress.clone(),
        retention: config.store.retention,
        traces: traces.clone(),
        index: Index::default(),
    };
    let rejections = Rejections::new(Publisher::new(link("rejections")), topology.clone(), &names);
    tasks::spawn_essential("blocked queues", show_blocked_queues(shown, rejections.clone()));
    // A webhook's queue that answers nothing blocks the link of those that probe it.
    let prober = Prober::new(link("intake prober"), &names);
    let intake = Intake {
        consumers: Consumers::new(link("consumer")),
        prober: prober.keeping(),
        topology,
        handler: Arc::new(Mutex::new(handler)),
        rejections,
        stop: stop.clone(),
    };
    Router { intake, legacy: Consumers::new(link("legacy consumer")), traces, publisher, store, me }
}

impl Router {
    async fn serve(self) {
        let topology = &self.intake.topology;
        let (renew, renewals) = watch::channel(0);
        let source = |queue: String| Source {
            queue,
            probe_exchange: Some(topology.names().ingest()),
            drained_after: None,
            renewals: renewals.clone(),
        };
        let watching = intake_watch::watch(topology.clone(), self.intake.prober.clone(), renew);
        tasks::spawn_essential("intake watch", watching);
        tokio::join!(
            self.intake.consume(source(topology.names().ingest())),
            self.intake.consume(source(topology.names().ingest_spare())),
            quarantine::consume(self.intake.clone(), topology.names().quarantine()),
            legacy::retire(Intake { consumers: self.legacy.clone(), ..self.intake.clone() }),
        );
        // A refused message that is not published by then comes again.
        let _ = tokio::time::timeout(FINISH_TIMEOUT, self.intake.rejections.finish()).await;
        // Unacknowledged messages go to another router at once.
        self.intake.consumers.close().await;
        self.legacy.close().await;
        self.publisher.close().await;
        let _ = instances::leave(&self.store, &self.me).await;
        self.traces.stop().await;
    }
}

/// Shows for good how many queues are passed by, also while nothing is published.
async fn show_blocked_queues(publisher: GuardedPublisher, rejections: Rejections) {
    loop {
        events::blocked_queues(publisher.blocked_queues());
        events::rejected_queue_blocked(rejections.are_blocked());
        tokio::time::sleep(SHOW_INTERVAL).await;
    }
}

async fn renew(store: Store, me: Instance) {
    loop {
        if let Err(error) = instances::renew(&store, &me).await {
            warn!(error = %Chain(&error), "could not renew this instance");
        }
        tokio::time::sleep(RENEW_EVERY).await;
    }
}

async fn keep_maintained(store: Store, retention: Duration) {
    loop {
        let interval = match maintain(&store, retention).await {
            Maintained::Finished | Maintained::Skipped => MAINTENANCE_INTERVAL,
            Maintained::Unfinished => MAINTENANCE_RETRY_INTERVAL,
        };
        tokio::time::sleep(interval).await;
    }
}
