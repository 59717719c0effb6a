//! Builds the collaborators of the deliverer, and runs them.
//!
//! This is the only place that knows all of them: each gets exactly what it needs.

use std::sync::Arc;

use broker::{Consumers, GuardedPublisher, Link, Namespace, Prober, Publisher, Topology};
use domain::delivery::retry::RetrySchedule;
use runtime::readiness::Readiness;
use runtime::tasks;
use runtime::traces::Traces;
use store::Store;
use store::delivery::search_floors::SearchFloors;
use store::instances::Instance;
use store::secrets::keyring::SecretKeyring;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::assignment::{Assignments, GenerationCloser, PendingSearches};
use crate::config::Config;
use crate::consumer::message::MessageHandler;
use crate::consumer::subscriber::Subscriber;
use crate::consumer::worker::WorkerServices;
use crate::delivery::attempt::Attempter;
use crate::delivery::client::Client;
use crate::handler::Deliverer;
use crate::handler::admission::Admitter;
use crate::handler::event_data::EventDataLoader;
use crate::handler::in_flight::InFlight;
use crate::health::HealthJudge;
use crate::limiter::attempt_memory::AttemptMemory;
use crate::limiter::attempt_rate::AttemptRate;
use crate::outbox::OutboxPublisher;
use crate::recording::Recording;
use crate::recording::attempt_recorder::AttemptRecorder;
use crate::recording::delivery_lookup::DeliveryLookup;
use crate::recording::end_recorder::EndRecorder;
use crate::redelivery::Redeliverer;
use crate::repair::lost_queue::QueueRepair;
use crate::repair::unroutable::{UnroutableConsumer, UnroutableRouter};
use crate::retry_queue::RetryQueue;
use crate::stall_detector::StallDetector;
use crate::webhook_cache::WebhookCache;

/// The services of the process that run until it stops.
#[derive(Debug)]
pub(crate) struct Services {
    me: Instance,
    assignments: Assignments,
    unroutable: UnroutableConsumer,
    outbox: OutboxPublisher,
    tracker: TaskTracker,
    consumers: Consumers,
    publisher: Publisher,
    traces: Traces,
}

/// Opens a connection to RabbitMQ under a name that tells its purpose.
pub(crate) fn open_link(config: &Config, purpose: &str) -> Link {
    Link::new(&config.broker, format!("postrider deliverer {purpose}"))
}

/// The pools of connections to PostgreSQL, apart so that no work delays another kind.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    /// For work whose amount grows with the webhooks: redeliveries, repairs, closing generations.
    pub(crate) work: Store,
    /// For statements that serve a whole batch.
    pub(crate) batches: Store,
    /// For single tasks that nothing may delay: renewal, changes of webhooks, health, outbox, searches.
    pub(crate) control: Store,
    /// For the leases of redelivery.
    pub(crate) leases: Store,
}

impl Stores {
    pub(crate) fn new(config: &Config, work: Store, control: Store) -> Self {
        Self {
            work,
            batches: Store::for_batches(&config.store, "postrider deliverer recorder"),
            control,
            leases: Store::for_leases(&config.store, "postrider deliverer leases"),
        }
    }
}

/// The collaborators that several others share.
struct Shared {
    stores: Stores,
    names: Namespace,
    topology: Topology,
    webhooks: Arc<WebhookCache>,
    prober: Prober,
    publisher: Publisher,
    /// Publishes to queues that may be lost, so that nothing else waits for their confirms.
    repair_publisher: Publisher,
    consumers: Consumers,
    traces: Traces,
    tracker: TaskTracker,
    /// From where overdue retries are searched for, shared by the search and by redelivery.
    retry_floors: SearchFloors,
}

impl Services {
    /// Builds the services. Their tasks in the background start at once.
    pub(crate) fn start(
        config: &Config,
        client: Client,
        schedule: RetrySchedule,
        stores: Stores,
        topology: Topology,
        readiness: &Readiness,
    ) -> Self {
        let shared = Shared::new(config, stores, topology);
        let deliverer = start_deliverer(config, &shared, client, schedule, readiness);
        let repair = Arc::new(shared.queue_repair());
        let me = Instance::new("deliverer", env!("CARGO_PKG_VERSION"), config.store.retention);
        Self {
            assignments: shared.assignments(shared.worker_services(&deliverer, &repair), me.clone()),
            me,
            unroutable: UnroutableConsumer {
                consumers: shared.consumers.clone(),
                router: Arc::new(UnroutableRouter {
                    repair,
                    webhooks: Arc::clone(&shared.webhooks),
                    store: shared.stores.work.clone(),
                }),
                progress: readiness.watch_progress("unrouted"),
                tracker: shared.tracker.clone(),
            },
            outbox: OutboxPublisher {
                store: shared.stores.control,
                publisher: shared.publisher.clone(),
                names: shared.names,
            },
            tracker: shared.tracker,
            consumers: shared.consumers,
            publisher: shared.publisher,
            traces: shared.traces,
        }
    }

    /// Serves until `stop`. Then finishes the deliveries in flight, and leaves.
    pub(crate) async fn serve(self, stop: &CancellationToken) {
        info!(instance = %self.me.id, "delivering");
        let unroutable = self.unroutable.serve(stop.clone());
        self.tracker.spawn(tasks::run_until_stopped("unrouted", stop.clone(), unroutable));
        let outbox = self.outbox.serve(stop.clone());
        self.tracker.spawn(tasks::run_until_stopped("outbox", stop.clone(), outbox));
        self.assignments.serve(&self.tracker, stop).await;
        self.tracker.close();
        self.tracker.wait().await;
        self.consumers.close().await;
        self.publisher.close().await;
        self.traces.stop().await;
    }
}

fn start_deliverer(
    config: &Config,
    shared: &Shared,
    client: Client,
    schedule: RetrySchedule,
    readiness: &Readiness,
) -> Arc<Deliverer> {
    let lookup = DeliveryLookup::start(shared.stores.batches.clone(), readiness.watch_progress("standings"));
    let admitter = Admitter {
        webhooks: Arc::clone(&shared.webhooks),
        lookup,
        schedule: schedule.clone(),
        stalls: StallDetector::start(),
    };
    let request_timeout = config.http.request_timeout;
    let attempter = Attempter { client, request_timeout, traces: shared.traces.clone() };
    let recording = start_recording(config, shared, schedule, readiness);
    let event_data =
        EventDataLoader::start(shared.stores.batches.clone(), readiness.watch_progress("event_data"));
    Arc::new(Deliverer { in_flight: InFlight::default(), admitter, event_data, attempter, recording })
}

fn start_recording(
    config: &Config,
    shared: &Shared,
    schedule: RetrySchedule,
    readiness: &Readiness,
) -> Recording {
    let rule = config.health.rule();
    let slice = store::delivery::activity::slice_length(rule.window);
    // A delay queue that answers nothing blocks its connection, so that only retries use it.
    let publisher = GuardedPublisher::new(Publisher::new(open_link(config, "waits")), shared.prober.clone());
    let waits = readiness.watch_progress("waits");
    let retry_queue = RetryQueue::new(publisher, shared.names.clone(), schedule.delay_levels(), waits);
    tasks::spawn_essential("delay queues", retry_queue.clone().repair_queues(shared.topology.clone()));
    Recording {
        recorder: AttemptRecorder::start(
            shared.stores.batches.clone(),
            slice,
            readiness.watch_progress("recording"),
        ),
        end_recorder: EndRecorder::start(
            shared.stores.batches.clone(),
            slice,
            readiness.watch_progress("finishing"),
        ),
        health: HealthJudge::start(shared.stores.control.clone(), Arc::clone(&shared.webhooks), rule),
        retry_queue,
        schedule,
    }
}

impl Shared {
    fn new(config: &Config, stores: Stores, topology: Topology) -> Self {
        let names = config.broker.namespace.clone();
        Self {
            webhooks: Arc::new(WebhookCache::new(
                stores.control.clone(),
                SecretKeyring::from_settings(&config.keyring),
            )),
            stores,
            topology,
            prober: Prober::new(open_link(config, "prober"), &names),
            publisher: Publisher::new(open_link(config, "publisher")),
            repair_publisher: Publisher::new(open_link(config, "repair")),
            consumers: Consumers::new(open_link(config, "consumer")),
            traces: Traces::start(&config.traces, "deliverer", env!("CARGO_PKG_VERSION")),
            tracker: TaskTracker::new(),
            retry_floors: SearchFloors::default(),
            names,
        }
    }

    fn queue_repair(&self) -> QueueRepair {
        QueueRepair {
            prober: self.prober.clone(),
            topology: self.topology.clone(),
            publisher: self.repair_publisher.clone(),
            store: self.stores.work.clone(),
            names: self.names.clone(),
        }
    }

    fn worker_services(&self, deliverer: &Arc<Deliverer>, repair: &Arc<QueueRepair>) -> WorkerServices {
        WorkerServices {
            subscriber: Arc::new(Subscriber {
                names: self.names.clone(),
                topology: self.topology.clone(),
                prober: self.prober.clone(),
                consumers: self.consumers.clone(),
                publisher: self.repair_publisher.clone(),
            }),
            messages: Arc::new(MessageHandler {
                names: self.names.clone(),
                deliverer: Arc::clone(deliverer),
                publisher: self.publisher.clone(),
                repair_publisher: self.repair_publisher.clone(),
            }),
            redeliverer: Arc::new(Redeliverer {
                store: self.stores.work.clone(),
                leases: self.stores.leases.clone(),
                retry_floors: self.retry_floors.clone(),
                webhooks: Arc::clone(&self.webhooks),
                deliverer: Arc::clone(deliverer),
            }),
            repair: Arc::clone(repair),
            webhooks: Arc::clone(&self.webhooks),
            attempt_rate: AttemptRate::start(),
            attempt_memory: AttemptMemory::default(),
            tracker: self.tracker.clone(),
        }
    }

    fn assignments(&self, workers: WorkerServices, me: Instance) -> Assignments {
        let closer = GenerationCloser::new(
            self.stores.work.clone(),
            self.topology.clone(),
            Arc::clone(&self.webhooks),
            self.tracker.clone(),
        );
        let searches = PendingSearches::new(self.stores.control.clone(), self.retry_floors.clone());
        Assignments::new(Arc::clone(&self.webhooks), workers, closer, searches, me)
    }
}

#[cfg(test)]
pub(crate) mod tests;
