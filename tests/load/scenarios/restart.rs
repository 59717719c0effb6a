//! Router and deliverers start anew while an event waits for every webhook: how soon all are served.

use super::PATIENCE;
use crate::args::Args;
use crate::report::Measured;
use crate::stage::Stage;
use crate::window::Window;

pub(super) async fn measure(stage: &mut Stage, args: &Args) -> Measured {
    for process in stage.platform.routers.iter_mut().chain(&mut stage.platform.deliverers) {
        let _ = process.terminate().await;
    }
    for group in stage.groups() {
        stage.source.publish(group).await;
    }
    let from = stage.board.now();
    for process in stage.platform.routers.iter_mut().chain(&mut stage.platform.deliverers) {
        process.start();
    }
    stage.drain(PATIENCE).await;
    let to = stage.board.now();
    let owed = stage.board.published().len() * args.fan_out as usize;
    assert!(stage.board.count() >= owed, "{} of {owed} arrived", stage.board.count());
    Measured::new(
        "from start until every webhook was served",
        Window::of(&stage.board, (from, to), [].into(), |_| true),
    )
    .with("seconds", (to - from).as_secs_f64())
}
