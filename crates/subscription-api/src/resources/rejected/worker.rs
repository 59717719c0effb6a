//! Works on the job that runs, step by step.
//!
//! Each replica looks for the job, and the one that gets its lease works on it. A step republishes or deletes a bounded
//! number of messages, so that requests get their turn at the queue, and a cancellation takes effect soon. If the process
//! dies, another replica goes on after the lease. A message leaves the queue only once its copy is confirmed, so that a
//! death in between publishes it twice at most, and never loses it.

use std::collections::BTreeMap;
use std::time::Duration;

use broker::RejectedFilter;
use broker::rejected_queue::{Groups, TakeLimit, WALK_TIMEOUT, Walked};
use domain::rejected_share::{USAGE_DAYS, message_bytes, share_name};
use runtime::error::Chain;
use runtime::retry::Backoff;
use store::StoreError;
use store::api::audit::ActOutcome;
use store::api::brands;
use store::api::rejected_jobs::{self, Job, JobAction, JobState, Progress};
use store::api::rejected_usage::{self, FreedUsage};
use tokio::time::timeout;
use tracing::{info, warn};
use uuid::Uuid;

use super::jobs::outcome_of;
use super::turn::{TURN_TIMEOUT, run_in_turn};
use crate::api::Api;
use crate::http::problem::Result;

/// How often a replica looks for a job that another one left.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long a replica has a job to itself. A step extends it.
const LEASE: Duration = Duration::from_secs(180);
/// Most messages of one step.
const MAX_STEP_MESSAGES: i64 = 1_000;
/// Longest walk of a step, unless it has to get past messages that the job is not about. It is shorter than requests wait
/// for their turn.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause between steps. It is several times as long as the interval at which requests of other replicas try to get their
/// turn, because they would otherwise get 503 as long as the job runs.
const STEP_INTERVAL: Duration = Duration::from_millis(500);
/// Steps without progress after which a job stops, because other messages hide those that it is about.
const MAX_IDLE_STEPS: usize = 3;
/// Consecutive steps that failed while RabbitMQ could be reached. Then the job stops, because it blocks all further jobs.
const MAX_FAILED_STEPS: usize = 20;
/// Messages that were rejected this much later than the job was created belong to it, because the clocks of the router and
/// of PostgreSQL differ.
const CLOCK_MARGIN: Duration = Duration::from_secs(5);

const _: () = assert!(
    4 * (2 * TURN_TIMEOUT.as_secs() + WALK_TIMEOUT.as_secs()) <= LEASE.as_secs(),
    "a step ends within the lease, even if its last operations on RabbitMQ time out"
);
const _: () = assert!(STEP_TIMEOUT.as_secs() < TURN_TIMEOUT.as_secs(), "a request outlasts a step");

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The messages were counted.
    Counted {
        /// Messages of the job; `None` if the walk did not see all of them.
        total: Option<i64>,
        /// Most messages that the job may handle: `total`, or as many as were in the queue.
        bound: i64,
    },
    /// Messages were handled.
    Handled {
        done: i64,
        /// Whether the walk saw every message that was in the queue.
        complete: bool,
    },
}

impl Step {
    /// Returns what the step adds to the job, and whether the job is complete with it.
    fn progress(self) -> (Progress, bool) {
        match self {
            Self::Counted { total, .. } => (Progress { done: 0, total }, false),
            Self::Handled { done, complete } => (Progress { done, total: None }, complete),
        }
    }
}

/// What this replica knows of the job that it works on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Run {
    /// Most messages that the job may handle; `None` before they are counted.
    bound: Option<i64>,
    /// Consecutive steps without progress.
    idle_steps: usize,
    /// Consecutive steps that failed while RabbitMQ could be reached.
    failed_steps: usize,
}

impl Run {
    /// Returns the run after a step. A walk that saw only other messages would see the same ones again.
    fn after(self, step: Step) -> Self {
        match step {
            Step::Counted { bound, .. } => Self { bound: Some(bound), ..Self::default() },
            Step::Handled { done: 0, complete: false } => {
                Self { idle_steps: self.idle_steps + 1, failed_steps: 0, ..self }
            }
            Step::Handled { .. } => Self { idle_steps: 0, failed_steps: 0, ..self },
        }
    }

    /// Returns the longest walk of the next step. After a short walk without progress, a long one may get further.
    fn walk_timeout(self) -> Duration {
        if self.idle_steps == 0 { STEP_TIMEOUT } else { WALK_TIMEOUT }
    }
}

/// Works on jobs as long as the process runs.
pub(crate) async fn work_forever(api: Api) {
    let holder = Uuid::new_v4();
    loop {
        match rejected_jobs::claim_job(&api.control, holder, LEASE).await {
            Ok(Some(job)) => work_on(&api, holder, job).await,
            Ok(None) => {
                let _ = timeout(POLL_INTERVAL, api.rejected_jobs.notified()).await;
            }
            Err(error) => {
                warn!(error = %Chain(&error), "could not look for a job on rejected messages; retrying");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }
}

/// Works on a job until it ends, or until another replica has its lease.
async fn work_on(api: &Api, holder: Uuid, mut job: Job) {
    let mut backoff = Backoff::default();
    let mut run = Run::default();
    loop {
        if let Some((state, outcome)) = end_of(&job, run) {
            return end(api, holder, job, state, outcome).await;
        }
        let (progress, complete) = match take_step(api, &job, run).await {
            Ok(step) => {
                backoff = Backoff::default();
                run = run.after(step);
                step.progress()
            }
            // RabbitMQ is away, or others read the queue. The job goes on as soon as it can.
            Err(problem) => {
                let status = problem.status();
                warn!(job = %job.id, %status, "could not work on a job on rejected messages; retrying");
                let is_own_failure = !problem.is_locked() && api.rejected.is_reachable().await;
                run.failed_steps += usize::from(is_own_failure);
                backoff.wait().await;
                (Progress::default(), false)
            }
        };
        match advance(api, holder, job.id, progress).await {
            Some(next) => job = next,
            // Another replica works on it now.
            None => return,
        }
        if complete && job.state == JobState::Running {
            return end(api, holder, job, JobState::Finished, ActOutcome::Done).await;
        }
        tokio::time::sleep(STEP_INTERVAL).await;
    }
}

/// Returns how a job ends now, if it does.
fn end_of(job: &Job, run: Run) -> Option<(JobState, ActOutcome)> {
    if job.state != JobState::Running {
        return Some((job.state, ActOutcome::Done));
    }
    if remaining(job, run) == Some(0) {
        return Some((JobState::Finished, ActOutcome::Done));
    }
    let is_stuck = run.idle_steps >= MAX_IDLE_STEPS || run.failed_steps >= MAX_FAILED_STEPS;
    is_stuck.then_some((JobState::Stopped, ActOutcome::Failed))
}

/// Returns how many messages a job may still handle; `None` before they are counted.
fn remaining(job: &Job, run: Run) -> Option<i64> {
    let most = job.total.or(run.bound)?.min(job.work.max_messages.unwrap_or(i64::MAX));
    Some((most - job.done).max(0))
}

/// Counts the messages of a job, or handles some of them.
async fn take_step(api: &Api, job: &Job, run: Run) -> Result<Step> {
    let filter = RejectedFilter {
        brand: job.work.brand.clone(),
        reason: job.work.reason.clone(),
        event_type: job.work.event_type.clone(),
        rejected_before: Some(job.created + CLOCK_MARGIN),
    };
    let Some(remaining) = remaining(job, run) else {
        let counted =
            run_in_turn(api, move |_, reader| async move { Ok(reader.count(&filter).await?) }).await?;
        // Behind a walk that ended early there may be as many as are left. A replica that worked on the job before may
        // have handled some.
        let bound = if counted.complete { counted.found } else { counted.total };
        let bound = job.done.saturating_add(to_i64(bound));
        return Ok(Step::Counted { total: counted.complete.then_some(bound), bound });
    };
    let action = job.work.action;
    let deletes_all = action == JobAction::Delete
        && job.work.brand.is_none()
        && job.work.reason.is_none()
        && job.work.event_type.is_none();
    let limit = TakeLimit {
        max_messages: u64::try_from(remaining.min(MAX_STEP_MESSAGES)).unwrap_or(0),
        timeout: run.walk_timeout(),
    };
    let walked = run_in_turn(api, move |api, reader| async move {
        let walked = match action {
            JobAction::Republish => reader.republish(&api.publisher, &filter, limit).await?,
            JobAction::Delete => reader.delete(&filter, limit).await?,
        };
        return_room(&api, &walked, deletes_all).await;
        Ok(walked)
    })
    .await?;
    Ok(Step::Handled { done: to_i64(count_messages(&walked.found)), complete: walked.complete })
}

fn count_messages(groups: &Groups) -> u64 {
    groups.values().map(|count| count.messages).sum()
}

fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Writes the progress of a step, however long the database is away. Returns `None` if another replica has the job.
async fn advance(api: &Api, holder: Uuid, job: Uuid, progress: Progress) -> Option<Job> {
    runtime::retry::until_ok(
        || rejected_jobs::advance_job(&api.control, (job, holder), progress, LEASE),
        |error: &StoreError| warn!(%job, error = %Chain(error), "could not write the progress of a job; retrying"),
    )
    .await
}

async fn end(api: &Api, holder: Uuid, job: Job, state: JobState, outcome: ActOutcome) {
    let ended = Job { state, ..job };
    let after = outcome_of(&ended);
    runtime::retry::until_ok(
        || rejected_jobs::end_job(&api.control, (ended.id, holder), state, outcome, &after),
        |error: &StoreError| warn!(job = %ended.id, error = %Chain(error), "could not end a job; retrying"),
    )
    .await;
    info!(job = %ended.id, state = state.as_str(), messages = ended.done, "a job on rejected messages ended");
}

/// Returns the room of messages that left the queue to the shares that the router took it from. If this fails, the shares
/// are free again a week later.
///
/// If the job deletes all messages and the walk took out every message that was in the queue, all shares are free, whatever
/// their usage says.
async fn return_room(api: &Api, walked: &Walked<Groups>, deletes_all: bool) {
    let is_emptied = deletes_all && walked.complete && count_messages(&walked.found) == walked.total;
    let returned = if is_emptied {
        rejected_usage::reset_usage(&api.store).await
    } else {
        free_room(api, &walked.found).await
    };
    if let Err(error) = returned {
        warn!(error = %Chain(&error), "could not return the room of rejected messages to their brands");
    }
}

async fn free_room(api: &Api, groups: &Groups) -> std::result::Result<(), StoreError> {
    let known =
        brands::list_known(&api.store, groups.keys().filter_map(|group| group.brand.as_ref())).await?;
    let mut shares: BTreeMap<&str, FreedUsage> = BTreeMap::new();
    for (group, count) in groups {
        let reason = group.reason.as_deref().unwrap_or_default();
        let share = share_name(group.brand.as_ref(), reason, |brand| known.contains(brand));
        let freed = shares.entry(share).or_default();
        share.clone_into(&mut freed.brand);
        let messages = to_i64(count.messages);
        freed.messages += messages;
        freed.bytes += to_i64(count.bytes).saturating_add(messages.saturating_mul(message_bytes(0)));
    }
    let freed: Vec<FreedUsage> = shares.into_values().collect();
    rejected_usage::free_usage(&api.store, USAGE_DAYS, &freed).await
}

#[cfg(test)]
mod tests {
    use domain::time::Timestamp;
    use store::api::rejected_jobs::NewJob;

    use super::*;

    fn job(done: i64, total: Option<i64>, max_messages: Option<i64>) -> Job {
        let work = NewJob {
            action: JobAction::Republish,
            brand: None,
            reason: None,
            event_type: None,
            max_messages,
            actor: "support".to_owned(),
        };
        Job {
            id: Uuid::nil(),
            work,
            state: JobState::Running,
            done,
            total,
            created: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            audit_id: Uuid::nil(),
        }
    }

    fn counted(bound: i64) -> Run {
        Run { bound: Some(bound), ..Run::default() }
    }

    /// Messages that are rejected again are behind the ones that the job counted.
    #[test]
    fn a_job_handles_no_more_messages_than_it_counted_or_was_told() {
        let new = Run::default();
        assert_eq!(remaining(&job(0, None, Some(5)), new), None);
        assert_eq!(remaining(&job(2, Some(10), None), new), Some(8));
        assert_eq!(remaining(&job(2, Some(10), Some(5)), new), Some(3));
        assert_eq!(remaining(&job(12, Some(10), None), new), Some(0));
        assert_eq!(end_of(&job(10, Some(10), None), new), Some((JobState::Finished, ActOutcome::Done)));
        assert_eq!(end_of(&job(0, Some(0), None), new), Some((JobState::Finished, ActOutcome::Done)));
        assert_eq!(end_of(&job(0, None, None), new), None);
    }

    #[test]
    fn a_job_that_could_not_count_its_messages_is_bounded_by_the_queue() {
        let step = Step::Counted { total: None, bound: 9 };
        assert_eq!(Run::default().after(step), counted(9));
        assert_eq!(step.progress().0.total, None);
        assert_eq!(remaining(&job(2, None, None), counted(9)), Some(7));
        assert_eq!(remaining(&job(2, None, Some(5)), counted(9)), Some(3));
        assert_eq!(end_of(&job(9, None, None), counted(9)), Some((JobState::Finished, ActOutcome::Done)));
    }

    #[test]
    fn a_job_without_progress_stops_and_a_cancelled_one_ends() {
        let running = job(1, Some(10), None);
        let stopped = Some((JobState::Stopped, ActOutcome::Failed));
        let mut run = Run { failed_steps: MAX_FAILED_STEPS - 1, ..Run::default() };
        assert_eq!(end_of(&running, run), None);
        assert_eq!(run.walk_timeout(), STEP_TIMEOUT);
        run = run.after(Step::Handled { done: 0, complete: false });
        assert_eq!(run, Run { idle_steps: 1, ..Run::default() });
        assert_eq!(run.walk_timeout(), WALK_TIMEOUT);
        assert_eq!(run.after(Step::Handled { done: 1, complete: false }), Run::default());
        assert_eq!(end_of(&running, Run { idle_steps: MAX_IDLE_STEPS, ..run }), stopped);
        assert_eq!(end_of(&running, Run { failed_steps: MAX_FAILED_STEPS, ..Run::default() }), stopped);
        let cancelled = Job { state: JobState::Stopped, ..job(1, Some(10), None) };
        assert_eq!(end_of(&cancelled, Run::default()), Some((JobState::Stopped, ActOutcome::Done)));
    }
}
