//! Routes events to webhooks: one batch at a time from decode over match and store to publish, and
//! only then the acknowledgement. It knows nothing of endpoints or HTTP.

pub mod config;
mod current;
mod dispatch;
mod events;
mod handler;
pub mod index;
mod silent;
mod storing;
mod take;

use std::time::Duration;

use broker::{Consumers, Link, Prober, Publisher, Topology};
use runtime::error::Chain;
use runtime::ops::{self, ListenError, Readiness};
use runtime::retry::Backoff;
use runtime::telemetry::PrometheusHandle;
use runtime::traces::Traces;
use store::Store;
use store::instances::{self, Instance, RENEW_EVERY};
use store::maintenance::{Maintained, maintain};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use config::Config;
use dispatch::Dispatch;
use handler::Handler;
use index::Index;

/// The longest that a batch takes when both servers answer.
pub const LONGEST_IN_FLIGHT: Duration = Duration::from_secs(15);
/// Messages that the broker hands out ahead: two full batches.
const PREFETCH: u16 = 1000;
/// How often partitions and epochs are looked after,
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(600);
/// and how soon again when something could not be done, such as beside a dump.
const MAINTENANCE_RETRY_INTERVAL: Duration = Duration::from_secs(30);

const _: () = assert!(PREFETCH as usize >= store::ingest::MAX_BATCH);

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
        router = start(&config, readiness) => {
            router.serve(&stop).await;
            Ok(())
        }
    }
}

struct Router {
    handler: Handler,
    traces: Traces,
    consumers: Consumers,
    publisher: Publisher,
    queue: String,
    store: Store,
    me: Instance,
}

/// Waits for both servers, in either order, and sets up all that runs beside the batches.
async fn start(config: &Config, readiness: Readiness) -> Router {
    let store = Store::for_batches(&config.store, "postrider router");
    let names = config.broker.namespace.clone();
    let link = |purpose: &str| Link::new(&config.broker, format!("postrider router {purpose}"));
    let topology = Topology::new(link("topology"), names.clone(), None);
    let database = async {
        store::boot::prepare(&store, &config.store).await;
        readiness.set_database(true);
        tokio::spawn(store::boot::watch(store.clone(), readiness.clone()));
    };
    let broker = async {
        broker::boot::prepare(&topology).await;
        readiness.set_broker(true);
        tokio::spawn(broker::boot::watch(topology.clone(), readiness.clone()));
    };
    tokio::join!(database, broker);
    let me = Instance::new("router", env!("CARGO_PKG_VERSION"), config.store.retention);
    tokio::spawn(renew(store.clone(), me.clone()));
    if !config.store.no_migrate {
        tokio::spawn(keep_maintained(store.clone(), config.store.retention));
    }
    let publisher = Publisher::new(link("publisher"));
    let (prober, retention) = (Prober::new(link("prober")), config.store.retention);
    let dispatch = Dispatch::new(publisher.clone(), prober, &names);
    let traces = Traces::start(&config.traces, "router", env!("CARGO_PKG_VERSION"));
    let handler = Handler {
        store: store.clone(),
        publisher: publisher.clone(),
        topology,
        rejected: names.rejected(),
        dispatch,
        retention,
        traces: traces.clone(),
        index: Index::default(),
    };
    Router {
        handler,
        traces,
        consumers: Consumers::new(link("consumer")),
        publisher,
        queue: names.router(),
        store,
        me,
    }
}

impl Router {
    async fn serve(mut self, stop: &CancellationToken) {
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            match self.consumers.subscribe(&self.queue, PREFETCH).await {
                Ok(mut subscription) => {
                    info!("taking events");
                    backoff = Backoff::default();
                    self.drain(&mut subscription, stop).await;
                }
                Err(error) => warn!(error = %Chain(&error), "cannot take events; trying again"),
            }
            tokio::select! { () = stop.cancelled() => {}, () = backoff.wait() => {} }
        }
        // Unacknowledged messages go to another router at once.
        self.consumers.close().await;
        self.publisher.close().await;
        let _ = instances::leave(&self.store, &self.me).await;
        self.traces.stop().await;
    }

    /// Handles batches until the subscription or the process ends. A batch is never abandoned.
    async fn drain(&mut self, subscription: &mut broker::Subscription, stop: &CancellationToken) {
        loop {
            let batch = tokio::select! {
                () = stop.cancelled() => return,
                batch = subscription.next_batch(store::ingest::MAX_BATCH) => batch,
            };
            let Some(last) = batch.last() else {
                warn!("the broker ended the subscription");
                return;
            };
            self.handler.handle(&batch).await;
            // All before the last on this channel was handled in this batch or an earlier one.
            if let Err(error) = last.ack_multiple().await {
                warn!(error = %Chain(&error), "a batch could not be acknowledged; it will come again");
                return;
            }
        }
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
