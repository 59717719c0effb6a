//! The router: takes events from RabbitMQ, stores each once, and publishes a delivery for every webhook that subscribes
//! to it.
//!
//! It knows nothing of endpoints or HTTP requests to them. The path of an event:
//!
//! 1. `queues::consumer` receives messages from the ingest queue, and `read_ahead` holds them.
//!    `queues::routing` takes batches from it, in which the brands take turns. A batch is cut by events, bytes and
//!    deliveries. While there is no more room to read ahead, `backlog` moves the events of brands over their share into
//!    the backlog queues of these brands, and takes them from there in their turns.
//! 2. `intake` decodes the messages. Invalid messages are rejected with a reason.
//! 3. [`subscriptions`] matches the events against the index of brands, event types and webhooks, which is in memory.
//!    The index has a version; if the database has a newer one, `batch::current_version` loads the changes and matches
//!    again.
//! 4. `batch::current_version` stores all events of the batch and their deliveries with one statement, and
//!    `batch::store_batch` splits a batch that PostgreSQL refuses. An event that is stored already is a duplicate.
//! 5. `batch::publish` publishes the deliveries of new events to the queues of their webhooks, and waits for the
//!    confirms.
//! 6. `queues::routing` acknowledges the messages. A rejected message is acknowledged once it is in the queue of
//!    rejected messages (`queues::rejections`).
//!
//! Nothing is lost because the acknowledgement comes last. If the router dies before it, RabbitMQ delivers the messages
//! to another router, which finds the stored events and publishes the deliveries that are still owed.
//!
//! Operations on PostgreSQL and RabbitMQ are retried until they succeed. A single event, queue or webhook that fails
//! must not stop the others: PostgreSQL's refusal splits a batch, a queue that stores nothing is bypassed, and RabbitMQ
//! moves a message that kills its consumer to the quarantine (`queues::quarantine`).

mod backlog;
mod batch;
mod config;
mod intake;
mod queues;
mod read_ahead;
pub mod subscriptions;
mod telemetry;

use std::sync::Arc;
use std::time::Duration;

use broker::{Consumers, GuardedPublisher, Link, Prober, Publisher, Topology};
use runtime::error::Chain;
use runtime::ops::{self, ListenError};
use runtime::readiness::Readiness;
use runtime::startup_notices::log_notices;
use runtime::tasks;
use runtime::telemetry::PrometheusHandle;
use runtime::traces::Traces;
use store::Store;
use store::instances::{self, Instance, RENEW_INTERVAL};
use store::maintenance::{Maintained, run_maintenance};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use backlog::Backlogs;
use batch::{BatchHandler, DeliveryPublisher};
pub use config::Config;
use intake::{BacklogFigures, RejectingBytes};
use queues::consumer::{EventConsumer, EventQueue};
use queues::rejected_budget::RejectedBudget;
use queues::rejections::RejectedPublisher;
use queues::routing::EventRouter;
use queues::{failover, legacy, quarantine};
use read_ahead::{KnownBrands, ReadAhead};
use subscriptions::Index;

/// Longest time that a batch takes while PostgreSQL and RabbitMQ answer. A process that stops waits for it.
pub const MAX_BATCH_DURATION: Duration = Duration::from_secs(15);
/// Bytes of messages from the ingest queue that the router holds: read ahead, being handled, or being rejected. RabbitMQ
/// waits with the others. A message of any size fits once, so producers cannot make the router hold much more.
const MAX_INGEST_BYTES: usize = 48 * 1024 * 1024;
/// The same for the queues that rarely have messages: the spare, and the queue of earlier versions.
const MAX_RARE_INTAKE_BYTES: usize = 16 * 1024 * 1024;
/// The same for the quarantine, whose messages are handled one at a time.
const MAX_QUARANTINE_BYTES: usize = 1024 * 1024;
/// Time between two reports of the number of blocked queues.
const BLOCKED_QUEUES_INTERVAL: Duration = Duration::from_secs(5);
/// Longest time for publishing rejected messages when the process stops.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two passes of maintenance of partitions and epochs.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(600);
/// Time until the next pass of maintenance after an unfinished one, for example during a database dump.
const MAINTENANCE_RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Runs the router until `stop`.
///
/// # Errors
/// When the operations listener cannot be opened. The router waits for PostgreSQL and RabbitMQ.
pub async fn run(
    config: Config,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    log_notices(&config.startup_notices());
    telemetry::describe_metrics();
    let readiness = Readiness::default();
    ops::start_listener(config.ops_listen, readiness.clone(), metrics).await?;
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        router = start_router(&config, readiness, &stop) => {
            Box::pin(router.consume_until_stop()).await;
            Ok(())
        }
    }
}

struct Router {
    /// Consumes the ingest queue.
    consumer: EventConsumer,
    spare: Consumers,
    quarantine: Consumers,
    /// Consumes the queue of earlier versions.
    legacy: Consumers,
    backlogs: Backlogs,
    traces: Traces,
    publisher: Publisher,
    store: Store,
    instance: Instance,
}

/// Waits for PostgreSQL and RabbitMQ, in either order, and starts the background tasks.
async fn start_router(config: &Config, readiness: Readiness, stop: &CancellationToken) -> Router {
    let store = Store::for_batches(&config.store, "postrider router");
    let control = Store::for_control(&config.store, "postrider router control");
    let names = config.broker.namespace.clone();
    let link = |purpose: &str| Link::new(&config.broker, format!("postrider router {purpose}"));
    let topology = Topology::new(link("topology"), names.clone(), None);
    tokio::join!(
        wait_for_database(config, &store, &control, &readiness),
        wait_for_broker(&topology, Prober::new(link("watch"), &names), &readiness),
    );
    let instance = Instance::new("router", env!("CARGO_PKG_VERSION"), config.store.retention);
    tasks::spawn_essential("renew", renew_instance(control.clone(), instance.clone()));
    // Also with --no-migrate, because otherwise nobody would create days or drop expired ones.
    let maintaining = maintain_database(store.clone(), config.store.retention, config.store.audit_retention);
    tasks::spawn_essential("maintain", maintaining);
    let publisher = Publisher::new(link("publisher"));
    let guarded = GuardedPublisher::new(publisher.clone(), Prober::new(link("prober"), &names));
    let known_brands = KnownBrands::default();
    let rejecting = RejectingBytes::default();
    let budget = RejectedBudget::new(known_brands.clone());
    tasks::spawn_essential("rejected budget", budget.clone().report_forever(store.clone()));
    let rejections =
        RejectedPublisher::new(Publisher::new(link("rejections")), topology.clone(), &names, budget)
            .with_rejecting(rejecting.clone());
    tasks::spawn_essential("blocked queues", report_blocked_queues(guarded.clone(), rejections.clone()));
    let progress = readiness.watch_progress("routing");
    let traces = Traces::start(&config.traces, "router", env!("CARGO_PKG_VERSION"));
    let mut handler = BatchHandler {
        store: store.clone(),
        publisher: DeliveryPublisher::new(store.clone(), guarded, &names, progress.clone()),
        progress,
        retention: config.store.retention,
        ingest_exchange: names.ingest_exchange(),
        traces: traces.clone(),
        index: Index::default(),
        known_brands: known_brands.clone(),
    };
    handler.load_index().await;
    let router = EventRouter { handler: Arc::new(Mutex::new(handler)), rejections };
    let read_ahead = ReadAhead::new(known_brands, rejecting, !config.empty_backlogs);
    tasks::spawn_essential("routing", router.clone().route_events(read_ahead.clone()));
    tasks::spawn_essential("configuration", router.clone().refresh_index());
    tasks::spawn_essential("count routers", count_routers(control, read_ahead.clone()));
    let backlogs = Backlogs {
        store: store.clone(),
        topology: topology.clone(),
        publishers: std::array::from_fn(|_| Publisher::new(link("backlog publisher"))),
        splitter: Publisher::new(link("backlog splitter")),
        pulling: link("backlog consumer"),
        read_ahead: read_ahead.clone(),
        router: router.clone(),
        figures: BacklogFigures::default(),
        stop: stop.clone(),
        shared: Arc::default(),
    };
    if !config.empty_backlogs {
        tasks::spawn_essential("moving", backlogs.clone().move_surplus());
    }
    // Each queue has a link of its own, because a link that may not receive more stops reading.
    let consumers = |purpose: &str, max_bytes| {
        let name = format!("postrider router {purpose}");
        Consumers::new(Link::with_receive_budget(&config.broker, name, max_bytes))
    };
    let consumer = EventConsumer {
        consumers: consumers("consumer", MAX_INGEST_BYTES),
        // A link of its own, because a webhook's queue that does not answer blocks the link of the other prober.
        prober: Prober::new(link("intake prober"), &names).with_kept_probes(),
        topology,
        router,
        read_ahead,
        stop: stop.clone(),
    };
    Router {
        consumer,
        spare: consumers("spare consumer", MAX_RARE_INTAKE_BYTES),
        quarantine: consumers("quarantine consumer", MAX_QUARANTINE_BYTES),
        legacy: consumers("legacy consumer", MAX_RARE_INTAKE_BYTES),
        backlogs,
        traces,
        publisher,
        store,
        instance,
    }
}

async fn wait_for_database(config: &Config, store: &Store, control: &Store, readiness: &Readiness) {
    store::startup::wait_until_ready(store, &config.store, &config.broker.namespace.to_string(), readiness)
        .await;
    tasks::spawn_essential(
        "database watch",
        store::startup::monitor_database(store.clone(), control.clone(), readiness.clone()),
    );
}

async fn wait_for_broker(topology: &Topology, prober: Prober, readiness: &Readiness) {
    broker::startup::wait_until_ready(topology, readiness).await;
    let monitoring = broker::startup::monitor(topology.clone(), prober, readiness.clone());
    tasks::spawn_essential("broker watch", monitoring);
}

impl Router {
    async fn consume_until_stop(self) {
        let topology = &self.consumer.topology;
        let names = topology.names();
        let (renew, renewals) = watch::channel(0);
        let event_queue = |name: String| EventQueue {
            name,
            probe_exchange: Some(names.ingest_exchange()),
            drained_after: None,
            renewals: renewals.clone(),
        };
        // It ends with the consumers. A probe that is sent later would wait in the queue for the next router, and the
        // messages behind it would not expire meanwhile.
        let stop = self.consumer.stop.clone();
        let routing = failover::keep_events_routed(topology.clone(), self.consumer.prober.clone(), renew);
        let watching = async move { stop.run_until_cancelled(routing).await.unwrap_or_default() };
        tasks::spawn_named(
            "intake watch",
            tasks::run_until_stopped("intake watch", self.consumer.stop.clone(), watching),
        );
        let spare = self.consumer.over(&self.spare);
        tokio::join!(
            self.consumer.consume_queue(event_queue(names.ingest_queue())),
            spare.consume_queue(event_queue(names.ingest_spare_queue())),
            quarantine::consume_quarantine(self.consumer.over(&self.quarantine)),
            legacy::retire_legacy_queue(self.consumer.over(&self.legacy)),
            self.backlogs.clone().drain_backlogs(),
            self.backlogs.clone().sweep_backlogs(),
        );
        // RabbitMQ redelivers the rejected messages that are not published by then.
        let rejections = &self.consumer.router.rejections;
        let _ = tokio::time::timeout(FINISH_TIMEOUT, rejections.finish()).await;
        let _ = tokio::time::timeout(FINISH_TIMEOUT, rejections.report(&self.store)).await;
        // Another router gets the unacknowledged messages at once.
        for consumers in [&self.consumer.consumers, &self.spare, &self.quarantine, &self.legacy] {
            consumers.close().await;
        }
        self.backlogs.close().await;
        self.publisher.close().await;
        let _ = instances::remove_instance(&self.store, &self.instance).await;
        self.traces.stop().await;
    }
}

/// Reports how many queues are blocked, forever. The metrics are up to date also while nothing is published.
async fn report_blocked_queues(publisher: GuardedPublisher, rejections: RejectedPublisher) {
    loop {
        telemetry::blocked_webhook_queues(publisher.blocked_queues());
        telemetry::rejected_queue_blocked(rejections.is_queue_blocked());
        tokio::time::sleep(BLOCKED_QUEUES_INTERVAL).await;
    }
}

async fn renew_instance(store: Store, instance: Instance) {
    loop {
        if let Err(error) = instances::renew_instance(&store, &instance).await {
            warn!(error = %Chain(&error), "could not renew the registration of this router; retrying");
        }
        tokio::time::sleep(RENEW_INTERVAL).await;
    }
}

/// Counts the routers, forever, because they share the rates of brands.
async fn count_routers(store: Store, read_ahead: ReadAhead) {
    loop {
        match instances::list_alive(&store, "router").await {
            Ok(alive) => read_ahead.set_routers(alive.len()),
            Err(error) => warn!(error = %Chain(&error), "could not count the routers; retrying"),
        }
        tokio::time::sleep(RENEW_INTERVAL).await;
    }
}

async fn maintain_database(store: Store, retention: Duration, audit_retention: Duration) {
    loop {
        let interval = match run_maintenance(&store, retention, audit_retention).await {
            Maintained::Finished | Maintained::Skipped => MAINTENANCE_INTERVAL,
            Maintained::Unfinished => MAINTENANCE_RETRY_INTERVAL,
        };
        tokio::time::sleep(interval).await;
    }
}
