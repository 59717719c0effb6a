//! Tests of the services while neither PostgreSQL nor RabbitMQ answers.

use std::time::Duration;

use clap::Parser;
use tokio::time::timeout;

use super::*;
use crate::consumer::worker::Worker;
use crate::delivery::client;
use crate::limiter::Limits;
use crate::webhook_cache::tests::webhook;

/// Long enough for anything that does not wait for a server.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);
const LIMITS: Limits = Limits::new(3, None);

/// Settings whose servers refuse every connection.
pub(crate) fn offline_config() -> Config {
    Config::parse_from([
        "deliverer",
        "--ops-listen=127.0.0.1:0",
        "--database-url=postgres://postgres@127.0.0.1:1/none",
        "--amqp-url=amqp://guest:guest@127.0.0.1:1/%2f",
        "--master-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ])
}

/// A store whose database refuses every connection.
pub(crate) fn offline_store() -> Store {
    Store::new(&offline_config().store, "test")
}

fn offline_stores() -> Stores {
    let config = offline_config();
    let control = Store::for_control(&config.store, "test");
    Stores::new(&config, offline_store(), control)
}

pub(crate) fn offline_topology() -> Topology {
    let config = offline_config();
    let levels = config.retry.schedule().delay_levels();
    Topology::new(open_link(&config, "test"), config.broker.namespace.clone(), Some(levels))
}

fn offline_shared() -> Shared {
    Shared::new(&offline_config(), offline_stores(), offline_topology())
}

fn deliverer_of(shared: &Shared) -> Arc<Deliverer> {
    let config = offline_config();
    let http = client::build(&config.http).expect("a client");
    start_deliverer(&config, shared, http, config.retry.schedule(), &Readiness::default())
}

/// A deliverer that reaches no server, and its cache.
pub(crate) fn offline_deliverer() -> (Arc<Deliverer>, Arc<WebhookCache>) {
    let shared = offline_shared();
    (deliverer_of(&shared), shared.webhooks)
}

/// The collaborators of workers that reach no server.
fn offline_workers() -> WorkerServices {
    let shared = offline_shared();
    shared.worker_services(&deliverer_of(&shared), &Arc::new(shared.queue_repair()))
}

#[tokio::test]
async fn services_that_are_stopped_end_without_their_servers() {
    let config = offline_config();
    let http = client::build(&config.http).expect("a client");
    let schedule = config.retry.schedule();
    let readiness = Readiness::default();
    let services = Services::start(&config, http, schedule, offline_stores(), offline_topology(), &readiness);
    let stop = CancellationToken::new();
    stop.cancel();
    timeout(TEST_TIMEOUT, services.serve(&stop)).await.expect("nothing is in flight");
}

#[tokio::test]
async fn a_worker_without_a_broker_is_idle_and_inactive_and_ends_when_it_is_closed() {
    let workers = offline_workers();
    let worker = Worker::start(&workers, &webhook(7), LIMITS, false);
    worker.start_redelivery();
    let view = worker.view(false);
    assert!(!view.is_active && !view.is_cut_off && !view.is_backlogged && !view.is_owner);
    assert_eq!(worker.limits(), LIMITS);
    assert_eq!(worker.idle_after(), Some(0), "nothing is redelivered by a replica that is not active");
    worker.close();
    workers.tracker.close();
    timeout(TEST_TIMEOUT, workers.tracker.wait()).await.expect("its task ends");
}

#[tokio::test]
async fn a_broker_that_is_away_does_not_make_the_owners_queue_count_as_lost() {
    let workers = offline_workers();
    let worker = Worker::start(&workers, &webhook(7), LIMITS, true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!worker.view(true).is_cut_off, "the broker is away, and says nothing about the queue");
    worker.close();
    workers.tracker.close();
    timeout(TEST_TIMEOUT, workers.tracker.wait()).await.expect("its tasks end");
}

#[tokio::test]
async fn a_deliverer_that_is_stopped_before_its_servers_answer_leaves_at_once() {
    let stop = CancellationToken::new();
    stop.cancel();
    let metrics = runtime::telemetry::start_telemetry(&offline_config().log);
    let run = crate::run(offline_config(), metrics, stop);
    timeout(TEST_TIMEOUT, run).await.expect("it does not wait").expect("the listener opens");
}
