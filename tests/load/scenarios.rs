//! The measurements, one after the other on one platform.

mod backlog;
mod beside;
mod flood;
mod handover;
mod loops;
mod restart;

use std::time::Duration;

use self::beside::Bad;
use crate::args::{Args, Scenario};
use crate::limits::Limits;
use crate::report::{Measured, Report};
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Account;

/// Sets up the stage, measures, accounts and reports; returns whether everything that was confirmed arrived.
pub(crate) async fn run(args: &Args) -> bool {
    let mut stage = Stage::set(args).await;
    let limits = if args.no_limits { None } else { Some(Limits::measure(&stage, args).await) };
    let mut measured = Vec::new();
    for scenario in &args.scenarios {
        measured.extend(rounds(&mut stage, args, *scenario).await);
    }
    stage.drain(ARRIVAL_TIMEOUT).await;
    let report = Report {
        settings: args.settings(),
        shares: stage.shares().await,
        memory_mib: stage.meter().memory_mib(),
        account: Account::of(&stage.board, args.fan_out),
        limits,
        measured,
    };
    // Written before the stage is dropped, because RabbitMQ 3.10 does not always survive the deletion of ten
    // thousand queues.
    report.write(args.json.as_deref());
    report.is_whole()
}

/// Measures all rounds of a scenario. Windows beside a bad endpoint alternate with others.
async fn rounds(stage: &mut Stage, args: &Args, scenario: Scenario) -> Vec<Measured> {
    if let Some(bad) = Bad::of(scenario, args) {
        return beside::measure(stage, args, bad).await;
    }
    let mut measured = Vec::new();
    for _ in 0..args.rounds.max(1) {
        measured.extend(one(stage, args, scenario).await);
    }
    measured
}

async fn one(stage: &mut Stage, args: &Args, scenario: Scenario) -> Vec<Measured> {
    match scenario {
        Scenario::Throughput => vec![loops::throughput(stage, args).await],
        Scenario::Latency => vec![loops::latency(stage, args).await],
        Scenario::Failing => vec![loops::failing(stage, args).await],
        Scenario::Backlog => vec![backlog::measure(stage, args).await],
        Scenario::Flood => flood::measure(stage, args).await,
        Scenario::Restart => restart::measure(stage, args).await,
        Scenario::Handover => handover::measure(stage, args).await,
        Scenario::Control | Scenario::Hanging | Scenario::Refusing | Scenario::Slow | Scenario::Queued => {
            unreachable!("these scenarios have a bad endpoint")
        }
    }
}
