//! Many endpoints with a bad one among them, and its effect on the others of its own brand and of another.
//!
//! The machine's speed varies from minute to minute, so each window beside a bad endpoint is compared with
//! both of its neighbours, the windows beside a good one before and after it. [`Scenario::Control`] shows the
//! remaining variation of the machine, because no endpoint is bad in it.

use std::ops::Range;

use e2e::poll::eventually;
use e2e::ports::Port;

use crate::args::{Args, Scenario};
use crate::report::Measured;
use crate::sink::Manner;
use crate::source::Pace;
use crate::stage::{ARRIVAL_TIMEOUT, Stage};
use crate::window::Window;

/// Events a second for the bad endpoint.
const BAD_ENDPOINT_RATE: u32 = 100;

/// The defect of the last endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct BadEndpoint {
    name: &'static str,
    /// `None` when no server listens there.
    manner: Option<Manner>,
    /// Events that already wait for it.
    backlog: u32,
}

impl BadEndpoint {
    /// Returns `None` for scenarios where all endpoints are alike.
    pub(super) fn of(scenario: Scenario, args: &Args) -> Option<Self> {
        let (name, manner, backlog) = match scenario {
            Scenario::Control => ("beside another good one", Some(Manner::Uncounted), 0),
            Scenario::Hanging => ("beside a hanging one", Some(Manner::Hangs), 0),
            Scenario::Refusing => ("beside a refusing one", None, 0),
            Scenario::Slow => ("beside a slow one", Some(Manner::Slow), 0),
            Scenario::Queued => ("beside a slow one with a backlog", Some(Manner::Slow), args.backlog),
            _ => return None,
        };
        Some(Self { name, manner, backlog })
    }
}

/// Measures the others beside a good endpoint, beside a bad one, beside a good one, and so on.
pub(super) async fn measure(stage: &Stage, args: &Args, bad: BadEndpoint) -> Vec<Measured> {
    assert!(args.fan_out == 1 && args.webhooks > 2, "this needs fan-out 1 and some webhooks");
    let last = args.webhooks - 1;
    let nobody = Port::reserve();
    let url = match bad.manner {
        Some(manner) => stage.sink.url(manner, last),
        None => format!("https://localhost:{}/{last}", nobody.number()),
    };
    stage.set_manner(last, Manner::Uncounted).await;
    let mut windows = vec![run_window(stage, args, last, "beside a good one").await];
    for _ in 0..args.rounds.max(1) {
        stage.wait_drained(ARRIVAL_TIMEOUT).await;
        stage.move_to(last, &url).await;
        if bad.backlog > 0 {
            stage.source.start(vec![last], Pace::Flood(bad.backlog)).end().await;
            wait_routed(stage).await;
        }
        windows.push(run_window(stage, args, last, bad.name).await);
        // The events sent to it meanwhile arrive after all.
        stage.set_manner(last, Manner::Uncounted).await;
        stage.wait_drained(ARRIVAL_TIMEOUT).await;
        windows.push(run_window(stage, args, last, "beside a good one").await);
    }
    stage.wait_drained(ARRIVAL_TIMEOUT).await;
    stage.set_manner(last, Manner::Well).await;
    compare_with_neighbours(windows)
}

/// Waits until the routers are idle.
async fn wait_routed(stage: &Stage) {
    let rabbit = stage.platform.rabbit().await;
    eventually("all is routed", ARRIVAL_TIMEOUT, async || match rabbit.queue_depth("ingest").await {
        Some(0) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

/// Measurements of all other endpoints, of the same brand's, and of another brand's.
type Measurements = [Measured; 3];

/// Runs a closed loop over the others, while the last endpoint gets its events at a fixed rate.
async fn run_window(stage: &Stage, args: &Args, last: u32, name: &str) -> Measurements {
    let others = stage.source.start((0..last).collect(), Pace::Closed(args.on_the_way));
    let flow = stage.source.start(vec![last], Pace::Open(BAD_ENDPOINT_RATE));
    tokio::time::sleep(args.warm_up()).await;
    let meter = stage.meter();
    let from = stage.board.now();
    let window = Window::watch_span(&stage.board, &meter, args.span(), |endpoint| endpoint < last).await;
    let seen = (from, stage.board.now());
    flow.stop().await;
    others.stop().await;
    let own_brand = args.webhooks.div_ceil(2);
    let part = |of: &str, range: Range<u32>| {
        let window = Window::of(&stage.board, seen, [].into(), |endpoint| range.contains(&endpoint));
        Measured::new(&format!("{name}: {of}"), window)
    };
    [
        Measured::new(name, window),
        part("of its brand", own_brand..last),
        part("of another brand", 0..own_brand),
    ]
}

/// Compares every second window with the mean of its two neighbours.
fn compare_with_neighbours(mut windows: Vec<Measurements>) -> Vec<Measured> {
    for at in (1..windows.len()).step_by(2) {
        for part in 0..windows[at].len() {
            let of = |metric: fn(&Window) -> f64| {
                let around = |at: usize| metric(&windows[at][part].window);
                around(at) * 2.0 / (around(at - 1) + around(at + 1))
            };
            let metrics = [
                ("kept_percent", of(|window| window.per_second) * 100.0),
                ("p50_times", of(|window| window.latency.p50_ms)),
                ("p99_times", of(|window| window.latency.p99_ms)),
            ];
            windows[at][part].more.extend(metrics.map(|(name, metric)| (name.to_owned(), metric)));
        }
    }
    windows.into_iter().flatten().collect()
}
