//! Redelivers events and shows the progress.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::Method;
use serde::{Deserialize, Serialize};

use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::print_notice;
use crate::session::Session;
use crate::terminal::escape_text;

/// Interval between two requests for the job's progress.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Width of the progress bar in characters, brackets excluded.
const BAR_WIDTH: usize = 30;

/// Redeliver one event, or the failed events of a time range
#[derive(Debug, Args)]
pub(crate) struct Command {
    /// Id of the webhook
    webhook: String,
    /// Id of the event, for a single one
    #[arg(
        conflicts_with_all = ["from", "to", "event_type", "status", "dry_run"],
        required_unless_present_all = ["from", "to"]
    )]
    event: Option<String>,
    /// Only events created at or after this time (RFC 3339)
    #[arg(long)]
    from: Option<String>,
    /// Only events created before this time (RFC 3339)
    #[arg(long)]
    to: Option<String>,
    /// Only events of this type or group
    #[arg(long = "type")]
    event_type: Option<String>,
    /// Delivery status of the events
    #[arg(long, value_enum, default_value = "failed")]
    status: StatusChoice,
    /// Count the events and redeliver none
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation; without a terminal nothing is asked
    #[arg(long, short)]
    yes: bool,
    /// Return at once instead of waiting until every event was attempted
    #[arg(long)]
    no_wait: bool,
}

/// The delivery status of the events to redeliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatusChoice {
    /// Not delivered within the retry window
    Failed,
    /// Arrived while the webhook was disabled
    Held,
    /// Pending when the webhook was paused
    Discarded,
    /// Still to be attempted
    Pending,
    /// Delivered; the endpoint gets these events again
    Delivered,
    /// Every status, delivered events included
    All,
}

impl StatusChoice {
    /// Returns the status for the API, which redelivers every status if it gets none.
    fn as_filter(self) -> Option<&'static str> {
        match self {
            Self::Failed => Some("failed"),
            Self::Held => Some("held"),
            Self::Discarded => Some("discarded"),
            Self::Pending => Some("pending"),
            Self::Delivered => Some("delivered"),
            Self::All => None,
        }
    }

    /// Describes a number of these events.
    fn describe_events(self, count: &Queued) -> String {
        let more = if count.more { "more than " } else { "" };
        let status = self.as_filter().map(|status| format!("{status} ")).unwrap_or_default();
        let plural = if count.queued == 1 && !count.more { "event" } else { "events" };
        let also = if self == Self::All { " (delivered ones included)" } else { "" };
        format!("{more}{} {status}{plural}{also}", count.queued)
    }
}

/// A range of events, as the API takes it.
#[derive(Debug, Serialize)]
struct Range {
    from: Option<String>,
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    job_id: Option<String>,
    queued: u64,
    /// Whether there are more events than `queued`.
    #[serde(default)]
    more: bool,
}

#[derive(Debug, Deserialize)]
struct Job {
    state: String,
    total: u64,
    /// Whether there are more events than `total`.
    #[serde(default)]
    more: bool,
    attempted: u64,
    delivered: u64,
}

pub(crate) async fn redeliver_events(session: &Session, command: Command) -> Result<(), Error> {
    let brand = session.resolve_brand().await?;
    match &command.event {
        Some(event) => {
            let path = ["v1", &brand, "webhooks", &command.webhook, "events", event, "redeliver"];
            session.output.print_resource(&session.client.send_empty(Method::POST, &path).await?)
        }
        None => redeliver_range(session, &brand, command).await,
    }
}

/// Counts the events of a range, says how many are sent, and redelivers them.
async fn redeliver_range(session: &Session, brand: &str, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let webhook = &command.webhook;
    let status = command.status;
    let range = Range {
        from: command.from,
        to: command.to,
        status: status.as_filter(),
        event_type: command.event_type,
    };
    let path = ["v1", brand, "webhooks", webhook, "redeliver"];
    let counted = client.post_with_query(&path, &vec![("dryRun", "true".to_owned())], &range).await?;
    let events = status.describe_events(&parse_json(&counted)?);
    if command.dry_run {
        let words = format!("{events} would be redelivered to {webhook}");
        return session.output.print_summary(&counted, &words);
    }
    if !command.yes && stdin().is_terminal() && stderr().is_terminal() {
        if !ask(&format!("Redeliver {events} to {webhook}?"))? {
            return Err(Error::Usage("nothing was redelivered".to_owned()));
        }
    } else {
        print_notice(&format!("redelivering {events} to {webhook}"));
    }
    let answer = client.send_json(Method::POST, &path, &range).await?;
    match parse_json::<Queued>(&answer)?.job_id.filter(|_| !command.no_wait) {
        Some(job) => {
            session.output.print_resource(&wait_until_finished(session, brand, webhook, &job).await?)
        }
        None => session.output.print_resource(&answer),
    }
}

/// Asks a question on the terminal and returns whether the answer is yes.
fn ask(question: &str) -> Result<bool, Error> {
    write!(stderr(), "{} [y/N] ", escape_text(question))?;
    stderr().flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Polls a job until it ends and returns its last form.
async fn wait_until_finished(
    session: &Session,
    brand: &str,
    webhook: &str,
    job: &str,
) -> Result<String, Error> {
    loop {
        let text =
            session.client.get(&["v1", brand, "webhooks", webhook, "redeliver", job], &Query::new()).await?;
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

    #[test]
    fn range_has_the_failed_events_unless_told_otherwise() {
        let filters: Vec<_> =
            StatusChoice::value_variants().iter().map(|choice| choice.as_filter()).collect();
        let statuses = ["failed", "held", "discarded", "pending", "delivered"].map(Some);
        assert_eq!(filters, [&statuses[..], &[None]].concat());
        let range = Range { from: None, to: None, status: Some("failed"), event_type: None };
        assert_eq!(
            serde_json::to_string(&range).expect("JSON"),
            r#"{"from":null,"to":null,"status":"failed"}"#
        );
    }

    #[test]
    fn description_names_number_and_status() {
        let describe = |choice: StatusChoice, queued, more| {
            choice.describe_events(&Queued { job_id: None, queued, more })
        };
        assert_eq!(describe(StatusChoice::Failed, 1, false), "1 failed event");
        assert_eq!(describe(StatusChoice::Held, 0, false), "0 held events");
        assert_eq!(describe(StatusChoice::Failed, 100_000, true), "more than 100000 failed events");
        assert_eq!(describe(StatusChoice::All, 2, false), "2 events (delivered ones included)");
    }

    #[test]
    fn bar_is_empty_at_first_and_full_at_the_end() {
        let bar_of = |attempted, total| {
            format_bar(&Job { state: String::new(), total, more: false, attempted, delivered: 0 })
        };
        assert_eq!(bar_of(0, 0), format!("[{}]", ".".repeat(BAR_WIDTH)));
        assert_eq!(bar_of(1, 2), format!("[{}{}]", "#".repeat(BAR_WIDTH / 2), ".".repeat(BAR_WIDTH / 2)));
        // A job may attempt more events than it counted at first.
        assert_eq!(bar_of(9, 3), format!("[{}]", "#".repeat(BAR_WIDTH)));
    }
}
