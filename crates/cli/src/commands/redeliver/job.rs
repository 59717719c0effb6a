//! Redelivery jobs: their form, their progress and their words.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use serde::Deserialize;

use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::words::{format_count, format_number_of};
use crate::session::Session;
use crate::webhook_ref::WebhookRef;

/// Interval between two requests for the job's progress.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Width of the progress bar in characters, brackets excluded.
const BAR_WIDTH: usize = 30;

#[derive(Debug, Deserialize)]
pub(super) struct Job {
    id: String,
    state: String,
    total: u64,
    /// Whether there are more events than `total`.
    #[serde(default)]
    more: bool,
    attempted: u64,
    delivered: u64,
}

impl Job {
    /// Tells the state and the counts, such as `finished: 3 of 3 events attempted, 2 delivered`.
    pub(super) fn describe(&self) -> String {
        let more = if self.more { "more than " } else { "" };
        format!(
            "{}: {} of {more}{} attempted, {} delivered  (job {})",
            self.state,
            format_count(self.attempted),
            format_number_of(self.total, "event"),
            format_count(self.delivered),
            self.id
        )
    }

    /// Fails unless every event was attempted, so that a script notices a job that was stopped or cancelled.
    pub(super) fn check_finished(&self) -> Result<(), Error> {
        if self.state == "finished" { Ok(()) } else { Err(Error::Unfinished(self.state.clone())) }
    }
}

/// Polls a job until it ends and returns its last form.
pub(super) async fn wait_until_finished(
    session: &Session,
    webhook: &WebhookRef,
    job: &str,
) -> Result<String, Error> {
    loop {
        let text = session.client.get(&webhook.path(&["redeliver", job]), &Query::new()).await?;
        let seen: Job = parse_json(&text)?;
        draw_progress(&seen)?;
        if seen.state != "running" {
            return Ok(text);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Draws the progress if standard error is a terminal.
fn draw_progress(job: &Job) -> Result<(), Error> {
    if !stderr().is_terminal() {
        return Ok(());
    }
    let end = if job.state == "running" { "" } else { "\n" };
    write!(
        stderr(),
        "\r{} {} of {}{}, {} delivered{end}",
        format_bar(job),
        job.attempted,
        if job.more { "more than " } else { "" },
        job.total,
        job.delivered
    )?;
    Ok(stderr().flush()?)
}

fn format_bar(job: &Job) -> String {
    let total = job.total.max(1);
    let full = usize::try_from(job.attempted.min(total) * BAR_WIDTH as u64 / total).unwrap_or(BAR_WIDTH);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR_WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(attempted: u64, total: u64) -> Job {
        let state = "finished".to_owned();
        Job { id: "J".to_owned(), state, total, more: false, attempted, delivered: 1 }
    }

    #[test]
    fn bar_is_empty_at_first_and_full_at_the_end() {
        assert_eq!(format_bar(&job(0, 0)), format!("[{}]", ".".repeat(BAR_WIDTH)));
        let half = BAR_WIDTH / 2;
        assert_eq!(format_bar(&job(1, 2)), format!("[{}{}]", "#".repeat(half), ".".repeat(half)));
        // A job may attempt more events than it counted at first.
        assert_eq!(format_bar(&job(9, 3)), format!("[{}]", "#".repeat(BAR_WIDTH)));
    }

    #[test]
    fn description_names_state_and_counts() {
        let wanted = "finished: 2 of 1,200 events attempted, 1 delivered  (job J)";
        assert_eq!(job(2, 1200).describe(), wanted);
    }
}
