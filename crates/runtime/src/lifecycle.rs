//! Start and stop of a service.
//!
//! The service gets a cancellation token, passes it to its tasks, and returns when all of them have finished.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error::Chain;
use crate::tasks;

/// Time to stop in addition to the longest operation in flight (contract §7).
pub const DRAIN_MARGIN: Duration = Duration::from_secs(5);

/// Runs a service until SIGTERM or SIGINT, then gives it time to finish.
///
/// The time is `longest_in_flight` and a little less than [`DRAIN_MARGIN`], so that the process ends before its
/// supervisor kills it. The exit status is 0 after a requested stop, 1 after an error, and [`tasks::BROKEN_EXIT_CODE`]
/// after a panic.
pub fn run_service<F, E>(
    longest_in_flight: Duration,
    service: impl FnOnce(CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::error::Error + 'static,
{
    tasks::exit_on_panic();
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(error = %Chain(&error), "could not start the tokio runtime");
            return ExitCode::FAILURE;
        }
    };
    let stop = CancellationToken::new();
    let limit = longest_in_flight + DRAIN_MARGIN - Duration::from_millis(500);
    let code = runtime.block_on(async {
        tasks::spawn_named("signals", stop_on_signal(stop.clone()));
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            result = service(stop.clone()) => exit_code(result),
            () = deadline => {
                warn!("the drain timeout passed; another process takes over the unfinished work");
                ExitCode::SUCCESS
            }
        }
    });
    tasks::ignore_further_panics();
    // Tasks that still run are dropped. Nothing is lost, because RabbitMQ delivers their unacknowledged messages again.
    runtime.shutdown_background();
    code
}

fn exit_code<E: std::error::Error + 'static>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => {
            info!("the service stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!(error = %Chain(&error), "the service stopped because of an error");
            ExitCode::FAILURE
        }
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    let term = signal(SignalKind::terminate());
    let int = signal(SignalKind::interrupt());
    let (Ok(mut term), Ok(mut int)) = (term, int) else {
        error!("cannot receive signals; stop the process with SIGKILL");
        return;
    };
    tokio::select! {
        _ = term.recv() => info!("received SIGTERM; finishing the operations in flight"),
        _ = int.recv() => info!("received SIGINT; finishing the operations in flight"),
    }
    stop.cancel();
}

/// Raises the soft limit on open files to the hard limit.
///
/// The soft limit is often 1,024, which is too low, because each request in flight needs a socket.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "could not raise the limit on open files");
    }
}
