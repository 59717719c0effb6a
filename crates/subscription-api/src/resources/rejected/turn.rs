//! One request at a time reads the queue of rejected messages.
//!
//! A walk holds the messages that it has taken, so that a second walk would not see them, would call itself complete
//! nevertheless. Therefore the requests of all replicas take turns. A walk runs in a task,
//! because it has to give its messages back before the next one begins, even if its client does not wait for the response.

use std::time::Duration;

use broker::RejectedReader;
use runtime::error::Chain;
use runtime::tasks;
use store::api::turns::{self, Turn};
use tokio::time::timeout;
use tracing::error;

use crate::api::Api;
use crate::http::middleware::REQUEST_TIMEOUT;
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;

/// Longest wait for the other requests of this process, and again for those of the other replicas.
pub(super) const TURN_TIMEOUT: Duration = Duration::from_secs(4);

const _: () = assert!(
    2 * TURN_TIMEOUT.as_secs() + broker::rejected_queue::WALK_TIMEOUT.as_secs() < REQUEST_TIMEOUT.as_secs()
);

/// Runs work on the queue while no other request of any replica reads it.
///
/// # Errors
/// 503 if other requests read the queue for too long.
pub(super) async fn run_in_turn<T, W>(
    api: &Api,
    work: impl FnOnce(Api, RejectedReader) -> W + Send + 'static,
) -> Result<T>
where
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send,
{
    let Ok(reader) = timeout(TURN_TIMEOUT, api.rejected.wait_turn()).await else { return Err(busy()) };
    let api = api.clone();
    let running = tasks::spawn_named("rejected messages", async move {
        let control = api.control.clone();
        let turn = turns::run_in_turn(&control, Turn::RejectedQueue, TURN_TIMEOUT, work(api, reader));
        turn.await?.unwrap_or_else(|| Err(busy()))
    });
    running.await.unwrap_or_else(|error| {
        error!(error = %Chain(&error), "the operation on rejected messages ended early");
        Err(Problem::internal_error())
    })
}

fn busy() -> Problem {
    Problem::service_unavailable(
        "another request is reading the rejected messages; try again in some seconds",
    )
    .of_kind(ProblemKind::ResourceLocked)
}
