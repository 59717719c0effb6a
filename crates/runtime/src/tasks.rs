//! Panics, and tasks that end although they should not: both end the process.
//!
//! A service is many tasks that wait for each other over channels. When one of them is gone, the others
//! wait for good, hold messages that nobody acknowledges, and look healthy from outside. A task that
//! panicked also left whatever it shared in a state that no test has seen. So a panic on any thread, those
//! of libraries included (such as the one that reads a broker's connection), exits the process with
//! [`BROKEN_EXIT_CODE`]. Nothing is lost with it: a supervisor starts the process again, and RabbitMQ hands
//! out again, at once, what was not acknowledged. It counts those returns (`x-delivery-count`), so that an
//! event whose content causes the panic reaches the delivery limit of the routers' queue and leaves it.
//!
//! [`contain`] is the exception, for one HTTP exchange: the answer to a request of the API, and the request to an
//! endpoint. It holds nothing that outlives it, and one client or one endpoint may cause it again and again: exiting
//! would let it stop the service for all others.
//!
//! The process exits rather than aborts, because a core dump would hold the master key and secrets.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::pin::pin;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

/// Exit status after a panic or the end of an essential task: `EX_SOFTWARE` of sysexits(3), so that a
/// supervisor's records tell it from an error (1) and a refused setting (2).
pub const BROKEN_EXIT_CODE: i32 = 70;

/// Set once the service has returned: the runtime is then torn down under whatever still runs.
static LEAVING: AtomicBool = AtomicBool::new(false);

tokio::task_local! {
    /// The name of the task that runs, for the log.
    static NAME: &'static str;
    /// Set while a future of [`contain`] runs.
    static CONTAINED: ();
}

/// The future of [`contain`] panicked. The panic is logged already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a panic was contained")]
pub struct Panicked;

/// Has every panic of the process, from now on, logged with its location and end the process; see the module.
pub fn exit_on_panic() {
    panic::set_hook(Box::new(on_panic));
}

/// Panics no longer end the process: the service has returned, and its exit status stands.
pub(crate) fn leave() {
    LEAVING.store(true, Ordering::Relaxed);
}

/// Spawns a task that runs for good. The process exits when it ends.
pub fn spawn_essential(
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(essential(name, task))
}

/// Runs a task that runs for good, for a caller that spawns it itself. The process exits when it ends.
pub async fn essential(name: &'static str, task: impl Future<Output = ()>) {
    NAME.scope(name, task).await;
    exit_without(name);
}

/// Runs a task that may end once `stop` is cancelled. The process exits when it ends before.
pub async fn until_stopped(name: &'static str, stop: CancellationToken, task: impl Future<Output = ()>) {
    NAME.scope(name, task).await;
    if !stop.is_cancelled() {
        exit_without(name);
    }
}

/// Runs a future whose panic is its own affair: it is logged, and the process goes on. Tasks that the
/// future spawns are not part of it.
///
/// # Errors
/// When it panicked.
pub async fn contain<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(CONTAINED.scope((), future));
    poll_fn(|context| {
        // After a panic the future is only dropped.
        match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

fn exit_without(name: &'static str) -> ! {
    error!(task = name, "a task ended that the service cannot do without; the process exits");
    process::exit(BROKEN_EXIT_CODE);
}

fn on_panic(panicked: &PanicHookInfo<'_>) {
    let panic = panicked.payload_as_str().unwrap_or("a value that is no text");
    let location = panicked.location().map(tracing::field::display);
    if LEAVING.load(Ordering::Relaxed) {
        debug!(panic, location, "a panic while the process leaves");
        return;
    }
    let task = NAME.try_with(|name| *name).ok();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = captured.then(|| tracing::field::display(&backtrace));
    if CONTAINED.try_with(|()| ()).is_ok() {
        error!(panic, location, task, backtrace, "a panic; the request fails and the process goes on");
        return;
    }
    let current = std::thread::current();
    let thread = current.name().unwrap_or("without a name");
    error!(panic, location, thread, task, backtrace, "a panic; the process exits");
    process::exit(BROKEN_EXIT_CODE);
}
