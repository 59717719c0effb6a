//! Deliverers that start, stop and die while every webhook gets events, with the evenness of their shares and
//! the longest silence of an endpoint.

use std::time::Duration;

use crate::args::Args;
use crate::report::Measured;
use crate::source::Pace;
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Window;

/// Changes of the deliverers, one after the other, starting from one deliverer.
const CHANGES: [(&str, Change); 4] = [
    ("two deliverers after one", Change::Add(1)),
    ("four deliverers after two", Change::Add(2)),
    ("one of four is killed", Change::Kill),
    ("one of three stops", Change::Stop),
];

#[derive(Clone, Copy)]
enum Change {
    Add(usize),
    Kill,
    Stop,
}

pub(super) async fn measure(stage: &mut Stage, args: &Args) -> Vec<Measured> {
    assert!(args.deliverers == 1 && args.fan_out == 1, "this begins with one deliverer, at fan-out 1");
    let flow = stage.source.start(stage.group_numbers(), Pace::Open(args.rate));
    tokio::time::sleep(args.warm_up()).await;
    let mut measured = vec![watch_change(stage, args, "one deliverer", None).await];
    for (name, change) in CHANGES {
        measured.push(watch_change(stage, args, name, Some(change)).await);
    }
    flow.stop().await;
    stage.wait_drained(ARRIVAL_TIMEOUT).await;
    measured
}

/// Measures from a change on, until the webhooks are assigned again and a span longer.
async fn watch_change(stage: &mut Stage, args: &Args, name: &str, change: Option<Change>) -> Measured {
    let from = stage.board.now();
    match change {
        Some(Change::Add(deliverers)) => {
            for _ in 0..deliverers {
                stage.platform.add_deliverer().start();
            }
            for deliverer in &mut stage.platform.deliverers {
                deliverer.wait_ready().await;
            }
        }
        Some(Change::Kill) => stage.platform.deliverers.remove(0).kill(),
        Some(Change::Stop) => drop(stage.platform.deliverers.remove(0).terminate().await),
        None => {}
    }
    stage.read_shares().await;
    tokio::time::sleep(args.span()).await;
    // Read again, because all webhooks are owned before new deliverers have taken theirs.
    let shares = stage.read_shares().await;
    let seen = (from, stage.board.now());
    let bound = |better: fn(f64, f64) -> f64| shares.iter().copied().reduce(better).unwrap_or_default();
    Measured::new(name, Window::of(&stage.board, seen, [].into(), |_| true))
        .with("longest_silence_s", longest_silence(stage, seen).as_secs_f64())
        .with("least_owned", bound(f64::min))
        .with("most_owned", bound(f64::max))
}

/// Returns the longest time in which an endpoint got no request.
fn longest_silence(stage: &Stage, (from, to): (Duration, Duration)) -> Duration {
    let mut times_by_endpoint = vec![vec![from]; stage.webhooks.len()];
    let arrivals = stage.board.arrivals();
    for arrival in arrivals.iter().filter(|arrival| (from..to).contains(&arrival.at)) {
        times_by_endpoint[arrival.endpoint as usize].push(arrival.at);
    }
    let silences = times_by_endpoint.iter_mut().flat_map(|times| {
        times.push(to);
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
    });
    silences.max().unwrap_or_default()
}
