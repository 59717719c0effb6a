//! The measurements, one after the other on one platform.

mod backlog;
mod beside;
mod flood;
mod handover;
mod loops;
mod restart;

use self::beside::BadEndpoint;
use crate::args::{Args, Scenario};
use crate::limits::Limits;
use crate::report::{Measured, Report};
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Account;

/// Sets up the stage, measures, accounts and reports; returns whether everything that was confirmed arrived.
pub(crate) async fn run_all(args: &Args) -> bool {
    let mut stage = Stage::new(args).await;
    let limits = if args.no_limits { None } else { Some(Limits::measure(&stage, args).await) };
    let mut measured = Vec::new();
    for scenario in &args.scenarios {
        measured.extend(measure_rounds(&mut stage, args, *scenario).await);
    }
    stage.wait_drained(ARRIVAL_TIMEOUT).await;
    let report = Report {
        settings: args.settings(),
        shares: stage.read_shares().await,
        memory_mib: stage.meter().memory_mib(),
        account: Account::of(&stage.board, args.fan_out),
        limits,
        measured,
    };
    // Written before the stage is dropped, because RabbitMQ 3.10 does not always survive the deletion of ten
    // thousand queues.
    report.write_report(args.json.as_deref());
    report.is_whole()
}

/// Measures all rounds of a scenario. Windows beside a bad endpoint alternate with others.
async fn measure_rounds(stage: &mut Stage, args: &Args, scenario: Scenario) -> Vec<Measured> {
    if let Some(bad) = BadEndpoint::of(scenario, args) {
        return beside::measure(stage, args, bad).await;
    }
    let mut measured = Vec::new();
    for _ in 0..args.rounds.max(1) {
        measured.extend(measure_once(stage, args, scenario).await);
    }
    measured
}

async fn measure_once(stage: &mut Stage, args: &Args, scenario: Scenario) -> Vec<Measured> {
    match scenario {
        Scenario::Throughput => vec![loops::measure_throughput(stage, args).await],
        Scenario::Latency => vec![loops::measure_latency(stage, args).await],
        Scenario::Failing => vec![loops::measure_failing(stage, args).await],
        Scenario::Backlog => vec![backlog::measure(stage, args).await],
        Scenario::Flood => flood::measure(stage, args).await,
        Scenario::Restart => restart::measure(stage, args).await,
        Scenario::Handover => handover::measure(stage, args).await,
        Scenario::Control | Scenario::Hanging | Scenario::Refusing | Scenario::Slow | Scenario::Queued => {
            unreachable!("these scenarios have a bad endpoint")
        }
    }
}
