//! Start and stop: every long-lived part gets one token, and the process leaves when all are done.

use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::error::Chain;
use crate::tasks;

/// Beyond the longest thing in flight, what the process may take to leave (contract §7).
pub const DRAIN_MARGIN: Duration = Duration::from_secs(5);

/// Runs a service until SIGTERM or SIGINT, then gives it `longest_in_flight` and a little less
/// than [`DRAIN_MARGIN`] to finish. Exits 0 after a stop that was asked for, 1 after an error, and with
/// [`tasks::BROKEN_EXIT_CODE`] at once after a panic.
pub fn run<F, E>(longest_in_flight: Duration, service: impl FnOnce(CancellationToken) -> F) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::error::Error + 'static,
{
    tasks::exit_on_panic();
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(error = %Chain(&error), "could not start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let stop = CancellationToken::new();
    let limit = longest_in_flight + DRAIN_MARGIN - Duration::from_millis(500);
    let code = runtime.block_on(async {
        tokio::spawn(stop_on_signal(stop.clone()));
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            result = service(stop.clone()) => exit_code(result),
            () = deadline => {
                warn!("not all work was finished in time; it goes to another process");
                ExitCode::SUCCESS
            }
        }
    });
    tasks::leave();
    // What is still running holds nothing that a restart would lose.
    runtime.shutdown_background();
    code
}

fn exit_code<E: std::error::Error + 'static>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) => {
            error!(error = %Chain(&error), "stopped by an error");
            ExitCode::FAILURE
        }
    }
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("signals cannot be received; stop the process with SIGKILL");
        return;
    };
    tokio::select! {
        _ = term.recv() => info!("SIGTERM: finishing what is in flight"),
        _ = int.recv() => info!("SIGINT: finishing what is in flight"),
    }
    stop.cancel();
}

/// A socket for each request in flight: the soft limit on open files is often as low as 1,024.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        warn!(%error, "the limit on open files stays as it is");
    }
}
