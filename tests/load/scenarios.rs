//! The measurements, one after the other on one platform.

mod backlog;
mod beside;
mod flood;
mod handover;
mod loops;
mod restart;

use std::time::Duration;

use crate::args::{Args, Scenario};
use crate::limits::Limits;
use crate::report::{Measured, Report};
use crate::sink::Manner;
use crate::stage::Stage;
use crate::window::Account;

/// How long what is on its way may take to arrive; three attempts with the waits between them.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sets the stage, measures, and takes account.
pub(crate) async fn run(args: &Args) -> Report {
    let mut stage = Stage::set(args).await;
    let limits = if args.no_limits { None } else { Some(Limits::measure(&stage, args).await) };
    let mut measured = Vec::new();
    for scenario in &args.scenarios {
        for _ in 0..args.rounds.max(1) {
            measured.extend(one(&mut stage, args, *scenario).await);
        }
    }
    stage.drain(PATIENCE).await;
    Report {
        settings: args.settings(),
        shares: stage.shares().await,
        memory_mib: stage.meter().memory_mib(),
        account: Account::of(&stage.board, args.fan_out),
        limits,
        measured,
    }
}

async fn one(stage: &mut Stage, args: &Args, scenario: Scenario) -> Vec<Measured> {
    match scenario {
        Scenario::Throughput => vec![loops::throughput(stage, args).await],
        Scenario::Latency => vec![loops::latency(stage, args).await],
        Scenario::Failing => vec![loops::failing(stage, args).await],
        Scenario::Hanging => {
            let url = |stage: &Stage, endpoint| stage.sink.url(Manner::Hangs, endpoint);
            beside::measure(stage, args, "beside one that hangs", url).await
        }
        Scenario::Refusing => {
            let closed = e2e::ports::Port::take();
            let url = |_: &Stage, endpoint| format!("https://localhost:{}/{endpoint}", closed.number());
            beside::measure(stage, args, "beside one that refuses", url).await
        }
        Scenario::Slow => {
            let url = |stage: &Stage, endpoint| stage.sink.url(Manner::Slow, endpoint);
            beside::measure(stage, args, "beside a slow one", url).await
        }
        Scenario::Queued => {
            let url = |stage: &Stage, endpoint| stage.sink.url(Manner::Slow, endpoint);
            beside::measure_behind(stage, args, "beside a slow one with a backlog", url, args.backlog).await
        }
        Scenario::Backlog => vec![backlog::measure(stage, args).await],
        Scenario::Flood => flood::measure(stage, args).await,
        Scenario::Restart => restart::measure(stage, args).await,
        Scenario::Handover => handover::measure(stage, args).await,
    }
}
