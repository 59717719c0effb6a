//! Panics, and tasks that end although they should run forever: both end the process.
//!
//! A service consists of many tasks that wait for each other over channels. If one of them ended, the others would wait
//! forever, hold unacknowledged messages, and look healthy from outside. A panic may also leave shared data in a state
//! that no test covers. So a panic on any thread, including threads of libraries, exits with [`BROKEN_EXIT_CODE`].
//!
//! No message is lost: a supervisor restarts the process, and RabbitMQ immediately delivers the unacknowledged
//! messages again. RabbitMQ counts these deliveries (`x-delivery-count`), so that an event whose content causes the
//! panic reaches the delivery limit of the routers' queue and leaves it.
//!
//! [`contain_panic`] is the exception, for one HTTP exchange: a request to the API, or a request to an endpoint. An
//! exchange leaves no shared data behind, and a client or an endpoint may cause the same panic again and again. If the
//! process exited, one of them could stop the service for all others.
//!
//! The process exits and does not abort, because a core dump would contain the master key and secrets.

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

/// Exit status after a panic or the end of an essential task: `EX_SOFTWARE` of sysexits(3).
///
/// The records of a supervisor thus distinguish it from an error (1) and an invalid setting (2).
pub const BROKEN_EXIT_CODE: i32 = 70;

/// Set when the service has returned.
///
/// From then on panics are only logged, because the shutdown of the runtime may cause them.
static LEAVING: AtomicBool = AtomicBool::new(false);

tokio::task_local! {
    /// The name of the current task, for the log.
    static NAME: &'static str;
    /// Set while a future of [`contain_panic`] runs.
    static CONTAINED: ();
}

/// An error about a future that panicked; the panic hook has logged the panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a panic was contained")]
pub struct Panicked;

/// Installs a panic hook that logs every panic with its location and exits the process.
pub fn exit_on_panic() {
    panic::set_hook(Box::new(on_panic));
}

/// Makes the panic hook only log further panics, because the service has an exit status.
pub(crate) fn ignore_further_panics() {
    LEAVING.store(true, Ordering::Relaxed);
}

/// Spawns a task that runs forever; the process exits if it ends.
pub fn spawn_essential(
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    spawn(run_essential(name, task))
}

/// Spawns a task that ends by itself, with a name for the log line of a panic.
///
/// The process does not wait for the task when it stops. Use a `TaskTracker` where it has to.
pub fn spawn_named<T: Send + 'static>(
    name: &'static str,
    task: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    spawn(NAME.scope(name, task))
}

#[expect(clippy::disallowed_methods, reason = "the place that gives each task its name")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Runs a task that must not end; the process exits if it ends.
///
/// It is for callers that spawn the task themselves.
pub async fn run_essential(name: &'static str, task: impl Future<Output = ()>) {
    NAME.scope(name, task).await;
    exit_because_ended(name);
}

/// Runs a task that may end after `stop` is cancelled; the process exits if it ends before.
pub async fn run_until_stopped(name: &'static str, stop: CancellationToken, task: impl Future<Output = ()>) {
    NAME.scope(name, task).await;
    if !stop.is_cancelled() {
        exit_because_ended(name);
    }
}

/// Runs a future whose panic is logged and does not end the process.
///
/// This does not apply to tasks that the future spawns.
///
/// # Errors
/// When the future panicked.
pub async fn contain_panic<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(CONTAINED.scope((), future));
    poll_fn(|context| {
        // After a panic the future is not polled again, only dropped.
        match panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

fn exit_because_ended(name: &'static str) -> ! {
    error!(task = name, "an essential task ended; the process exits");
    process::exit(BROKEN_EXIT_CODE);
}

fn on_panic(panicked: &PanicHookInfo<'_>) {
    let panic = panicked.payload_as_str().unwrap_or("a value that is not text");
    let location = panicked.location().map(tracing::field::display);
    if LEAVING.load(Ordering::Relaxed) {
        debug!(panic, location, "a thread panicked while the process exits");
        return;
    }
    let task = NAME.try_with(|name| *name).ok();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = captured.then(|| tracing::field::display(&backtrace));
    if CONTAINED.try_with(|()| ()).is_ok() {
        error!(
            panic,
            location, task, backtrace, "a request panicked; the request fails and the process continues"
        );
        return;
    }
    let current = std::thread::current();
    let thread = current.name().unwrap_or("without a name");
    error!(panic, location, thread, task, backtrace, "a thread panicked; the process exits");
    process::exit(BROKEN_EXIT_CODE);
}
