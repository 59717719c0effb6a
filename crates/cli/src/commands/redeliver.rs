//! Redelivers events and shows the progress.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use clap::Args;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::event_filter::EventFilter;
use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::session::Session;

/// Interval between two requests for the job's progress.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Width of the progress bar in characters, brackets excluded.
const BAR_WIDTH: usize = 30;

/// Redeliver one event, or all events of a time range
#[derive(Debug, Args)]
pub(crate) struct Command {
    /// Id of the webhook
    webhook: String,
    /// Id of the event, for a single one
    #[arg(
        conflicts_with_all = ["from", "to", "event_type", "status"],
        required_unless_present_all = ["from", "to"]
    )]
    event: Option<String>,
    #[command(flatten)]
    range: EventFilter,
    /// Return at once instead of waiting until every event was attempted
    #[arg(long)]
    no_wait: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    job_id: Option<String>,
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
    let client = &session.client;
    let brand = session.resolve_brand().await?;
    let webhook = command.webhook;
    if let Some(event) = command.event {
        let path = ["v1", &brand, "webhooks", &webhook, "events", &event, "redeliver"];
        return session.output.print_resource(&client.send_empty(Method::POST, &path).await?);
    }
    let range = command.range.into_query().into_iter();
    let body: Map<String, Value> = range.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let path = ["v1", &brand, "webhooks", &webhook, "redeliver"];
    let answer = client.send_json(Method::POST, &path, &body.into()).await?;
    match parse_json::<Queued>(&answer)?.job_id.filter(|_| !command.no_wait) {
        Some(job) => {
            session.output.print_resource(&wait_until_finished(session, &brand, &webhook, &job).await?)
        }
        None => session.output.print_resource(&answer),
    }
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
