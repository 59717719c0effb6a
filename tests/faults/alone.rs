//! Each fault alone, as far as the tests of `it/` do not cover it, with the whole judgement after each.

use std::time::Duration;

use e2e::dice::Dice;
use e2e::event::Event;
use e2e::ledger::Place;
use e2e::platform::Builder;
use tokio::time::Instant;

use crate::fault::{Fault, Harm, Service, TAKEN_OVER};
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
const FLOWING: Duration = Duration::from_secs(10);
/// Deliveries that wait when the broker is killed.
const THOUSANDS: usize = 3000;
/// How long it may take until each event of a burst was attempted.
const ATTEMPTED: Duration = Duration::from_secs(120);

/// Retries that end long before the backlog of the slow endpoint does.
const SHORT_RETRIES: &str = "1s,1s,2s,3s";
/// The delivery window for these retries.
const SHORT_WINDOW: &str = "20s";

/// Applies faults under load, one after the other, and judges.
async fn alone(faults: &[Fault]) {
    alone_in(World::start(BRANDS).await, faults).await;
}

async fn alone_in(mut world: World, faults: &[Fault]) {
    let load = world.traffic.start(0, PACE);
    let mut late = Vec::new();
    for fault in faults {
        // In a single fault, chance decides only which of two replicas it hits.
        let healed = fault.happen(&mut world, &mut Dice::new(1)).await;
        let recovery = world.flowing(healed.at).await;
        let line = format!("{fault:?}: flowing after {recovery:?}, {healed:?}");
        eprintln!("{line}");
        let taken_over = healed.taken_over.is_none_or(|after| after <= TAKEN_OVER);
        let in_time = healed.progress.is_none_or(Progress::is_in_time);
        if recovery > FLOWING || !taken_over || !in_time {
            late.push(line);
        }
    }
    load.end().await;
    // The judge comes first, because a late event may also be lost.
    let verdict = world.judge().await;
    eprintln!("{verdict:#?}");
    assert!(late.is_empty(), "too late after or beside these faults: {late:#?}");
    verdict.assert_kept();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_and_servers_stopped_in_order_or_blocked() {
    alone(&[Fault::Crash(Service::Api), Fault::BrokerRestart, Fault::ConnectionsTerminated, Fault::Alarm])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deliverer_that_stands_still_is_replaced_and_wakes_up_without_harm() {
    alone(&[Fault::Freeze]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliverers_become_one_four_and_two_under_load() {
    alone(&[Fault::Scale]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_are_put_a_minute_forward_and_back() {
    alone(&[Fault::Clock(Service::Router), Fault::Clock(Service::Deliverer), Fault::Clock(Service::Api)])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_to_the_broker_are_cut_slow_stalled_half_open_and_forgotten() {
    ways(&[Link::RouterToBroker, Link::DeliverersToBroker]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_to_the_database_are_cut_slow_stalled_half_open_and_forgotten() {
    ways(&[Link::RouterToDatabase, Link::OneDelivererToDatabase]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_to_the_endpoints_are_cut_slow_stalled_half_open_and_forgotten() {
    ways(&[Link::Endpoints]).await;
}

async fn ways(links: &[Link]) {
    let harms = [Harm::Cut, Harm::Slow, Harm::Stall, Harm::LoseAnswers, Harm::HoldRequests, Harm::Abandon];
    let faults: Vec<Fault> =
        links.iter().flat_map(|link| harms.map(|harm| Fault::Way(*link, harm))).collect();
    alone(&faults).await;
}

macro_rules! each_alone {
    ($($name:ident: $fault:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            alone(&[$fault]).await;
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
    let settings = |builder: Builder| builder.retries(SHORT_RETRIES).window(SHORT_WINDOW).never_disabled();
    let world = World::start_with(BRANDS, settings).await;
    alone_in(world, &[Fault::Backlog]).await;
}

/// The broker is killed while a delay queue dead-letters thousands of messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_killed_while_thousands_come_back_from_waiting() {
    let mut world = World::start(BRANDS).await;
    let kind = world.traffic.kinds[1];
    let place = 1;
    world.ledger.fail(place, true);
    let events = world.burst(kind, THOUSANDS).await;
    attempted(&world, &events).await;
    // The deliveries that failed first come back now, and wait again.
    world.ledger.fail(place, false);
    let half = |ledger: &e2e::ledger::Ledger| ledger.missing() < THOUSANDS / 2;
    world.ledger.wait(ATTEMPTED, half).await.expect("half of them are retried");

    survives_a_killed_broker(&mut world).await;
}

/// Unroutable dead letters stall a delay queue for good, unless something catches them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_killed_while_deliveries_wait_for_a_webhook_that_is_gone() {
    let mut world = World::start(BRANDS).await;
    let (victim, kind) = world.victim().await;
    let events = world.burst(kind, THOUSANDS / 10).await;
    attempted(&world, &events).await;
    delete(&world, victim).await;

    survives_a_killed_broker(&mut world).await;
}

/// Kills the broker, and asserts that nothing was lost.
async fn survives_a_killed_broker(world: &mut World) {
    world.broker.kill();
    world.broker.restart().await;
    let recovery = world.flowing(Instant::now()).await;
    eprintln!("recovery {recovery:?}");
    let verdict = world.judge().await;
    eprintln!("{verdict:#?}");
    verdict.assert_kept();
}

/// Waits until each of these events was attempted at least once.
async fn attempted(world: &World, events: &[Event]) {
    let all = world.ledger.wait(ATTEMPTED, |ledger| ledger.unseen(events).is_empty()).await;
    all.unwrap_or_else(|_| panic!("never attempted: {:#?}", world.ledger.unseen(events)));
}

async fn delete(world: &World, place: Place) {
    let subscriber = world.ledger.subscribers().swap_remove(place);
    world.brands[0].delete(&subscriber.webhook).await;
}
