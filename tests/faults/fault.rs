//! The faults. Each harms real processes for a while and ends.

use std::time::Duration;

use e2e::process::Process;
use e2e::proxy::RelayMode;
use e2e::rng::Rng;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::backlog;
use crate::poisoning::Poison;
use crate::progress::Progress;
use crate::silence::Queue;
use crate::sql::{self, Rows};
use crate::world::{Link, World};

/// How soon another replica has to serve a frozen replica's endpoints.
pub(crate) const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(15);
/// The delay of a slow connection.
const SLOW_DELAY: Duration = Duration::from_millis(150);
/// Duration of most faults.
const SHORT_OUTAGE: Duration = Duration::from_secs(2);
/// Longer than two AMQP heartbeats and than a service waits for the database's answer.
const LONG_OUTAGE: Duration = Duration::from_secs(15);
/// How far a clock is stepped.
const STEP_SECONDS: i64 = 60;
/// How far a wrong clock is off, which is more than events are kept.
const WRONG_SECONDS: i64 = 10 * 24 * 3600;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Api,
    Router,
    Deliverer,
}

/// Harm to the connection between two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Connections are closed and refused.
    Cut,
    /// Every byte is delayed.
    Slow,
    /// Connections are accepted, and nothing passes.
    Stall,
    /// Half open. Requests arrive, and the answers are lost with the connection.
    LoseAnswers,
    /// Half open. Requests are held back, and pass in the end.
    HoldRequests,
    /// Connections are forgotten, so that they stay open and silent for good.
    Abandon,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9` of a process of a service.
    Crash(Service),
    /// `kill -9` of all our processes at once.
    CrashAll,
    /// The broker stops in order and starts again.
    BrokerRestart,
    /// `kill -9` of the broker.
    BrokerKill,
    /// PostgreSQL stops in order and starts again.
    DatabaseRestart,
    /// `kill -9` of PostgreSQL.
    DatabaseKill,
    /// PostgreSQL terminates all connections from inside.
    ConnectionsTerminated,
    /// The broker's memory alarm blocks publishers.
    Alarm,
    /// A deliverer is frozen until others serve its endpoints, and then wakes up.
    Freeze,
    /// The deliverers become one, then four, then two.
    Scale,
    /// A process's clock is stepped forward, back beyond the true time, and right.
    Clock(Service),
    /// A process starts with a clock ten days ahead, then ten days behind, then right.
    WrongClock(Service),
    /// Harm to a connection.
    Connection(Link, Harm),
    /// A hostile producer.
    Poison(Poison),
    /// A queue does not answer for half a minute.
    Silent(Queue),
    /// The database refuses some rows of a table.
    Refused(Rows),
    /// A dump holds all tables while maintenance has work to do.
    Dump,
    /// An endpoint fails for a while with a backlog behind it.
    Backlog,
}

/// The course of a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recovery {
    /// When everything was available again.
    pub(crate) at: Instant,
    /// How long a frozen replica's endpoints waited for another replica.
    pub(crate) taken_over: Option<Duration>,
    /// The progress of deliveries during the fault.
    pub(crate) progress: Option<Progress>,
}

impl Fault {
    /// Applies the fault, waits, and ends it.
    pub(crate) async fn run(self, world: &mut World, rng: &mut Rng) -> Recovery {
        let mut taken_over = None;
        let mut progress = None;
        match self {
            Self::Freeze => taken_over = Some(freeze_busiest(world).await),
            Self::Silent(queue) => progress = Some(queue.run_silenced(world).await),
            Self::Refused(rows) => progress = Some(rows.run_with_refusals(world).await),
            Self::Dump => progress = Some(sql::run_during_dump(world).await),
            Self::Backlog => progress = Some(backlog::run_with_backlog(world).await),
            other => other.apply(world, rng).await,
        }
        Recovery { at: Instant::now(), taken_over, progress }
    }

    async fn apply(self, world: &mut World, rng: &mut Rng) {
        match self {
            Self::Crash(service) => pick_process(world, service, rng).crash(),
            Self::CrashAll => crash_all(world),
            Self::BrokerRestart => {
                world.broker.stop();
                world.broker.restart().await;
            }
            Self::BrokerKill => {
                world.broker.kill();
                world.broker.restart().await;
            }
            Self::DatabaseRestart => {
                world.postgres.stop();
                world.postgres.restart().await;
            }
            Self::DatabaseKill => {
                world.postgres.kill();
                world.postgres.restart().await;
            }
            Self::ConnectionsTerminated => world.postgres.terminate_connections().await,
            Self::Alarm => {
                world.broker.set_memory_alarm(true).await;
                sleep(SHORT_OUTAGE).await;
                world.broker.set_memory_alarm(false).await;
            }
            Self::Scale => {
                world.scale_deliverers(1).await;
                world.scale_deliverers(4).await;
                world.scale_deliverers(2).await;
            }
            Self::Clock(service) => step_clock(pick_process(world, service, rng)).await,
            Self::WrongClock(service) => run_with_wrong_clock(world, service, rng).await,
            Self::Connection(link, harm) => harm.apply(world, link).await,
            Self::Poison(poison) => poison.send_messages(world).await,
            Self::Freeze | Self::Silent(_) | Self::Refused(_) | Self::Dump | Self::Backlog => {
                unreachable!("the caller handles faults with an outcome of their own")
            }
        }
    }
}

impl Harm {
    async fn apply(self, world: &mut World, link: Link) {
        let relay = world.relay_mut(link);
        match self {
            Self::Cut => relay.cut(),
            Self::Slow => relay.set_mode(RelayMode::Slow(SLOW_DELAY)),
            Self::Stall => relay.set_mode(RelayMode::Stall),
            Self::LoseAnswers => relay.set_mode(RelayMode::HoldAnswers),
            Self::HoldRequests => relay.set_mode(RelayMode::HoldRequests),
            Self::Abandon => relay.abandon_connections(),
        }
        sleep(if self == Self::Abandon { LONG_OUTAGE } else { SHORT_OUTAGE }).await;
        let relay = world.relay_mut(link);
        if self == Self::LoseAnswers {
            relay.cut();
        }
        relay.restore().await;
    }
}

/// Picks a process of a service by chance.
fn pick_process<'a>(world: &'a mut World, service: Service, rng: &mut Rng) -> &'a mut Process {
    let processes = match service {
        Service::Api => &mut world.platform.apis,
        Service::Router => &mut world.platform.routers,
        Service::Deliverer => &mut world.platform.deliverers,
    };
    let one = rng.below(processes.len());
    &mut processes[one]
}

fn crash_all(world: &mut World) {
    world.platform.processes_mut().for_each(Process::kill);
    world.platform.processes_mut().for_each(Process::start);
}

/// Steps the clock forward, back beyond the true time, and right, each for as long as the process takes to
/// see it.
async fn step_clock(process: &Process) {
    for seconds in [STEP_SECONDS, -STEP_SECONDS, 0] {
        process.step_clock(seconds);
        sleep(SHORT_OUTAGE).await;
    }
}

/// Starts a process with a clock that is ten days ahead, then behind, then right. Work at its start, such as
/// maintenance, uses that clock.
async fn run_with_wrong_clock(world: &mut World, service: Service, rng: &mut Rng) {
    world.clocks_were_off = true;
    let process = pick_process(world, service, rng);
    for seconds in [WRONG_SECONDS, -WRONG_SECONDS, 0] {
        process.step_clock(seconds);
        process.crash_and_restart().await;
        sleep(SHORT_OUTAGE).await;
    }
}

/// Freezes the deliverer that delivers most until others serve its endpoints, and thaws it. Returns how long
/// that took.
async fn freeze_busiest(world: &mut World) -> Duration {
    let one = find_busiest(world).await;
    let frozen = Instant::now();
    world.platform.deliverers[one].freeze();
    let taken_over = world.wait_flowing(frozen).await;
    world.platform.deliverers[one].unfreeze();
    taken_over
}

/// Finds the deliverer that made most of the attempts while an event went to every webhook. Ownership alone
/// does not tell, because a deliverer that has just started may only stand by.
async fn find_busiest(world: &World) -> usize {
    let before = attempts_by_deliverer(world).await;
    world.wait_flowing(Instant::now()).await;
    let after = attempts_by_deliverer(world).await;
    let made = before.iter().zip(&after).map(|(before, after)| after - before);
    let most = made.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
    most.map(|(one, _)| one).expect("a deliverer")
}

async fn attempts_by_deliverer(world: &World) -> Vec<f64> {
    let deliverers = world.platform.deliverers.iter();
    join_all(deliverers.map(|deliverer| deliverer.read_metric("postrider_attempts_total"))).await
}
