//! All faults in a random order, under load. `E2E_FAULTS_SEED` repeats an order; `E2E_FAULTS_LONG=1` makes it
//! long; `E2E_FAULTS_EVENTS` and `E2E_FAULTS_COUNT` choose a size in between.

use std::time::Duration;

use e2e::rng::Rng;

use crate::fault::{Fault, Harm, Service, TAKEOVER_TIMEOUT};
use crate::poisoning::Poison;
use crate::progress::Progress;
use crate::silence::Queue;
use crate::sql::Rows;
use crate::world::{Link, World};

/// Brands, each with five webhooks.
const BRANDS: usize = 10;
/// Events and faults of the short run, and the load's pace in events a second.
const SHORT_RUN: Size = Size { events: 20_000, faults: 41, per_second: 100 };
/// The same for the long run.
const LONG_RUN: Size = Size { events: 834_000, faults: 200, per_second: 400 };
/// How soon deliveries have to flow again after the end of a fault.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct Size {
    events: usize,
    faults: usize,
    per_second: usize,
}

/// A line of the report.
struct ReportLine {
    fault: Fault,
    recovery: Duration,
    taken_over: Option<Duration>,
    progress: Option<Progress>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_in_any_order_lose_alter_and_invent_nothing() {
    let (seed, size) = read_size();
    eprintln!("seed {seed} (E2E_FAULTS_SEED={seed} repeats the order), {size:?}");
    let mut rng = Rng::new(seed);
    let faults = draw_faults(&mut rng, size.faults);
    let mut world = World::start(BRANDS).await;
    let load = world.traffic.start(size.events, size.per_second);
    let mut lines = Vec::new();
    for fault in faults {
        let ended = fault.run(&mut world, &mut rng).await;
        let recovery = world.wait_flowing(ended.at).await;
        let line = ReportLine { fault, recovery, taken_over: ended.taken_over, progress: ended.progress };
        let count = world.ledger.totals();
        eprintln!("{} {line}; {} events, {} duplicates", lines.len() + 1, count.events, count.duplicates);
        lines.push(line);
        world.wait_all_ready().await;
    }
    load.finish().await;
    let verdict = world.judge().await;
    print_report(seed, &lines, &verdict);
    verdict.assert_sound();
    assert!(verdict.count.events >= size.events, "{verdict:?}");
    let late: Vec<_> = lines.iter().filter(|line| line.is_late()).map(ReportLine::to_string).collect();
    assert!(late.is_empty(), "too late after these faults: {late:#?}");
}

impl std::fmt::Display for ReportLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: flowing after {:.1?}", self.fault, self.recovery)?;
        if let Some(after) = self.taken_over {
            write!(f, ", taken over after {after:.1?}")?;
        }
        match self.progress {
            Some(Progress { took: Some(took), .. }) => write!(f, ", beside it after {took:.1?}"),
            Some(Progress { took: None, limit }) => write!(f, ", beside it not within {limit:.1?}"),
            None => Ok(()),
        }
    }
}

impl ReportLine {
    fn is_late(&self) -> bool {
        self.recovery > RECOVERY_TIMEOUT
            || self.taken_over.is_some_and(|after| after > TAKEOVER_TIMEOUT)
            || self.progress.is_some_and(|progress| !progress.is_in_time())
    }
}

fn print_report(seed: u64, lines: &[ReportLine], verdict: &crate::judge::Verdict) {
    let count = &verdict.count;
    let longest =
        lines.iter().max_by_key(|line| line.recovery).map(ReportLine::to_string).unwrap_or_default();
    eprintln!(
        "seed {seed}: {} faults, {} events, {} pairs, lost {}, altered {}, invented {}, duplicates {}, \
         given up {}, rejected {:?}, longest recovery: {longest}",
        lines.len(),
        count.events,
        count.pairs,
        verdict.unaccounted.len(),
        count.violations.altered,
        count.violations.invented,
        count.duplicates,
        verdict.given_up,
        verdict.rejected,
    );
}

/// Reads the seed and the size from the environment.
fn read_size() -> (u64, Size) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("E2E_FAULTS_SEED").unwrap_or_else(|| u64::from(rand_seed()));
    let size = if number("E2E_FAULTS_LONG") == Some(1) { LONG_RUN } else { SHORT_RUN };
    let or =
        |name: &str, default: usize| number(name).and_then(|n| usize::try_from(n).ok()).unwrap_or(default);
    let events = or("E2E_FAULTS_EVENTS", size.events);
    let faults = or("E2E_FAULTS_COUNT", size.faults);
    (seed, Size { events, faults, per_second: or("E2E_FAULTS_PACE", size.per_second) })
}

/// Returns a different seed each time, which is short to type.
fn rand_seed() -> u16 {
    u16::try_from(uuid::Uuid::new_v4().as_u128() >> 112).unwrap_or_default()
}

/// Draws this number of faults in a random order. Each round has every kind of harm to processes, servers and
/// connections at least once, and some of the other faults with a probability of their own.
fn draw_faults(rng: &mut Rng, faults: usize) -> Vec<Fault> {
    let mut plan = Vec::new();
    while plan.len() < faults {
        let mut round = draw_round(rng);
        rng.shuffle(&mut round);
        plan.extend(round);
    }
    plan.truncate(faults);
    plan
}

fn draw_round(rng: &mut Rng) -> Vec<Fault> {
    let mut round = vec![
        Fault::Crash(Service::Api),
        Fault::Crash(Service::Router),
        Fault::Crash(Service::Router),
        Fault::Crash(Service::Deliverer),
        Fault::Crash(Service::Deliverer),
        Fault::CrashAll,
        Fault::BrokerRestart,
        Fault::BrokerKill,
        Fault::BrokerKill,
        Fault::DatabaseRestart,
        Fault::DatabaseKill,
        Fault::ConnectionsTerminated,
        Fault::ConnectionsTerminated,
        Fault::Alarm,
        Fault::Freeze,
        Fault::Scale,
        Fault::Clock(*rng.pick(&[Service::Api, Service::Router, Service::Deliverer])),
    ];
    for links in [TO_BROKER.as_slice(), &TO_DATABASE, &[Link::Endpoints]] {
        for harm in [Harm::Cut, Harm::Slow, Harm::Stall, Harm::LoseAnswers, Harm::HoldRequests] {
            round.push(Fault::Connection(*rng.pick(links), harm));
        }
    }
    let any: Vec<Link> = [TO_BROKER.as_slice(), &TO_DATABASE, &[Link::Endpoints]].concat();
    round.push(Fault::Connection(*rng.pick(&any), Harm::Abandon));
    for (chance, faults) in BY_CHANCE {
        if rng.below(100) < *chance {
            round.push(*rng.pick(faults));
        }
    }
    round
}

/// Groups of faults with a probability in percent that a round has one fault of the group. Silent queues cost
/// half a minute, and a wrong clock is rare because events that are rejected over it could hide other losses.
const BY_CHANCE: &[(usize, &[Fault])] = &[
    (75, &[Fault::Poison(Poison::ShortStrings)]),
    (75, &[Fault::Poison(Poison::Headers)]),
    (50, &[Fault::Poison(Poison::Bodies)]),
    (15, &[Fault::Poison(Poison::Huge)]),
    (75, &[Fault::Poison(Poison::Expirations)]),
    (75, &[Fault::Poison(Poison::LongKeys)]),
    (
        80,
        &[
            Fault::Silent(Queue::Webhook),
            Fault::Silent(Queue::Wait),
            Fault::Silent(Queue::Rejected),
            Fault::Silent(Queue::Unrouted),
            Fault::Silent(Queue::Ingest),
        ],
    ),
    (75, &[Fault::Refused(Rows::Events), Fault::Refused(Rows::Deliveries), Fault::Refused(Rows::Attempts)]),
    (50, &[Fault::Dump]),
    (
        30,
        &[
            Fault::WrongClock(Service::Api),
            Fault::WrongClock(Service::Router),
            Fault::WrongClock(Service::Deliverer),
        ],
    ),
    (40, &[Fault::Backlog]),
];

const TO_BROKER: [Link; 4] =
    [Link::ApiToBroker, Link::RouterToBroker, Link::DeliverersToBroker, Link::OneDelivererToBroker];
const TO_DATABASE: [Link; 4] =
    [Link::ApiToDatabase, Link::RouterToDatabase, Link::DeliverersToDatabase, Link::OneDelivererToDatabase];
