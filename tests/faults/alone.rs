//! Each fault alone, as far as the tests of `it/` do not cover it, with the whole judgement after each.

use std::time::Duration;

use e2e::event::Event;
use e2e::ledger::Place;
use e2e::platform::Builder;
use e2e::rng::Rng;
use tokio::time::Instant;

use crate::fault::{Fault, Harm, Service, TAKEOVER_TIMEOUT};
use crate::poisoning::Poison;
use crate::progress::Progress;
use crate::silence::Queue;
use crate::sql::Rows;
use crate::world::{Link, World};

/// Brands, each with five webhooks.
const BRANDS: usize = 2;
/// The load under each fault, in events a second.
const PACE: usize = 60;
/// How soon deliveries have to flow again after the end of a fault.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Deliveries that wait when the broker is killed.
const DELAYED_DELIVERIES: usize = 3000;
/// How long it may take until each event of a burst was attempted.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(120);

/// Retries that end long before the backlog of the slow endpoint does.
const SHORT_RETRIES: &str = "1s,1s,2s,3s";
/// The delivery window for these retries.
const SHORT_WINDOW: &str = "20s";

/// Applies faults under load, one after the other, and judges.
async fn run_alone(faults: &[Fault]) {
    run_alone_in(World::start(BRANDS).await, faults).await;
}

async fn run_alone_in(mut world: World, faults: &[Fault]) {
    let load = world.traffic.start(0, PACE);
    let mut late = Vec::new();
    for fault in faults {
        // In a single fault, chance decides only which of two replicas it hits.
        let ended = fault.run(&mut world, &mut Rng::new(1)).await;
        let recovery = world.wait_flowing(ended.at).await;
        let line = format!("{fault:?}: flowing after {recovery:?}, {ended:?}");
        eprintln!("{line}");
        let taken_over = ended.taken_over.is_none_or(|after| after <= TAKEOVER_TIMEOUT);
        let in_time = ended.progress.is_none_or(Progress::is_in_time);
        if recovery > RECOVERY_TIMEOUT || !taken_over || !in_time {
            late.push(line);
        }
    }
    load.finish().await;
    // The judge comes first, because a late event may also be lost.
    let verdict = world.judge().await;
    eprintln!("{verdict:#?}");
    assert!(late.is_empty(), "too late after or beside these faults: {late:#?}");
    verdict.assert_kept();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_blocked_processes_and_servers() {
    run_alone(&[
        Fault::Crash(Service::Api),
        Fault::BrokerRestart,
        Fault::ConnectionsTerminated,
        Fault::Alarm,
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_deliverer_is_replaced_and_resumes_without_harm() {
    run_alone(&[Fault::Freeze]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliverers_become_one_four_and_two_under_load() {
    run_alone(&[Fault::Scale]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_step_a_minute_forward_and_back() {
    run_alone(&[Fault::Clock(Service::Router), Fault::Clock(Service::Deliverer), Fault::Clock(Service::Api)])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmed_connections_to_the_broker() {
    run_link_faults(&[Link::RouterToBroker, Link::DeliverersToBroker]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmed_connections_to_the_database() {
    run_link_faults(&[Link::RouterToDatabase, Link::OneDelivererToDatabase]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn harmed_connections_to_the_endpoints() {
    run_link_faults(&[Link::Endpoints]).await;
}

async fn run_link_faults(links: &[Link]) {
    let harms = [Harm::Cut, Harm::Slow, Harm::Stall, Harm::LoseAnswers, Harm::HoldRequests, Harm::Abandon];
    let faults: Vec<Fault> =
        links.iter().flat_map(|link| harms.map(|harm| Fault::Connection(*link, harm))).collect();
    run_alone(&faults).await;
}

macro_rules! each_alone {
    ($($name:ident: $fault:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            run_alone(&[$fault]).await;
        }
    )*};
}

each_alone! {
    short_strings_that_are_not_utf8: Fault::Poison(Poison::ShortStrings);
    headers_nested_thousands_deep: Fault::Poison(Poison::Headers);
    bodies_that_the_router_refuses: Fault::Poison(Poison::Bodies);
    a_body_of_sixteen_megabytes: Fault::Poison(Poison::Huge);
    events_that_expire_before_they_are_routed: Fault::Poison(Poison::Expirations);
    schema_violations_with_keys_longer_than_a_frame: Fault::Poison(Poison::LongKeys);
    a_silent_queue_of_a_webhook: Fault::Silent(Queue::Webhook);
    a_silent_wait_queue: Fault::Silent(Queue::Wait);
    a_silent_queue_of_rejected_messages: Fault::Silent(Queue::Rejected);
    a_silent_queue_of_unrouted_deliveries: Fault::Silent(Queue::Unrouted);
    a_silent_queue_of_the_routers: Fault::Silent(Queue::Ingest);
    rows_of_events_that_the_database_refuses: Fault::Refused(Rows::Events);
    rows_of_deliveries_that_the_database_refuses: Fault::Refused(Rows::Deliveries);
    rows_of_attempts_that_the_database_refuses: Fault::Refused(Rows::Attempts);
    a_dump_while_maintenance_is_due: Fault::Dump;
    a_router_whose_clock_is_ten_days_off: Fault::WrongClock(Service::Router);
    a_deliverer_whose_clock_is_ten_days_off: Fault::WrongClock(Service::Deliverer);
    an_api_whose_clock_is_ten_days_off: Fault::WrongClock(Service::Api);
}

/// A delivery that failed once gets its further attempts before the window ends, even beside a backlog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_that_takes_longer_than_the_retries() {
    let settings =
        |builder: Builder| builder.retries(SHORT_RETRIES).window(SHORT_WINDOW).without_health_rule();
    let world = World::start_with(BRANDS, settings).await;
    run_alone_in(world, &[Fault::Backlog]).await;
}

/// The broker is killed while a delay queue dead-letters thousands of messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_killed_while_thousands_are_retried() {
    let mut world = World::start(BRANDS).await;
    let kind = world.traffic.kinds[1];
    let place = 1;
    world.ledger.set_failing(place, true);
    let events = world.publish_burst(kind, DELAYED_DELIVERIES).await;
    wait_attempted(&world, &events).await;
    // The deliveries that failed first come back now, and wait again.
    world.ledger.set_failing(place, false);
    let half = |ledger: &e2e::ledger::Ledger| ledger.count_missing() < DELAYED_DELIVERIES / 2;
    world.ledger.wait_until(ATTEMPT_TIMEOUT, half).await.expect("half of them are retried");

    survives_a_killed_broker(&mut world).await;
}

/// Unroutable dead letters stall a delay queue for good, unless something catches them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_killed_while_a_deleted_webhook_has_retries() {
    let mut world = World::start(BRANDS).await;
    let (victim, kind) = world.subscribe_failing().await;
    let events = world.publish_burst(kind, DELAYED_DELIVERIES / 10).await;
    wait_attempted(&world, &events).await;
    delete_webhook(&world, victim).await;

    survives_a_killed_broker(&mut world).await;
}

/// Kills the broker, and asserts that nothing was lost.
async fn survives_a_killed_broker(world: &mut World) {
    world.broker.kill();
    world.broker.restart().await;
    let recovery = world.wait_flowing(Instant::now()).await;
    eprintln!("recovery {recovery:?}");
    let verdict = world.judge().await;
    eprintln!("{verdict:#?}");
    verdict.assert_kept();
}

/// Waits until each of these events was attempted at least once.
async fn wait_attempted(world: &World, events: &[Event]) {
    let all =
        world.ledger.wait_until(ATTEMPT_TIMEOUT, |ledger| ledger.describe_unseen(events).is_empty()).await;
    all.unwrap_or_else(|_| panic!("never attempted: {:#?}", world.ledger.describe_unseen(events)));
}

async fn delete_webhook(world: &World, place: Place) {
    let subscriber = world.ledger.subscribers().swap_remove(place);
    world.brands[0].delete_webhook(&subscriber.webhook).await;
}
