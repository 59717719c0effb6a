//! Sends events again, and shows how far that got.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use clap::Args;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::event_filter::EventFilter;
use crate::client::{Query, parse};
use crate::error::Error;
use crate::session::Session;

/// How often the progress is asked for.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// Length of the progress bar, in characters.
const BAR: usize = 30;

/// One event, or all that were created in a range
#[derive(Debug, Args)]
pub(crate) struct Command {
    webhook: String,
    /// This event alone
    #[arg(conflicts_with_all = ["from", "to", "event_type", "status"], required_unless_present_all = ["from", "to"])]
    event: Option<String>,
    #[command(flatten)]
    range: EventFilter,
    /// Do not wait until all of a range were attempted
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
    attempted: u64,
    delivered: u64,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let (client, brand, webhook) = (&session.client, session.brand().await?, command.webhook);
    if let Some(event) = command.event {
        let path = ["v1", &brand, "webhooks", &webhook, "events", &event, "redeliver"];
        return session.output.one(&client.act(Method::POST, &path).await?);
    }
    let given = command.range.query().into_iter();
    let body: Map<String, Value> = given.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let path = ["v1", &brand, "webhooks", &webhook, "redeliver"];
    let answer = client.change(Method::POST, &path, &body.into()).await?;
    match parse::<Queued>(&answer)?.job_id.filter(|_| !command.no_wait) {
        Some(job) => session.output.one(&follow(session, &brand, &webhook, &job).await?),
        None => session.output.one(&answer),
    }
}

/// Follows a job to its end.
async fn follow(session: &Session, brand: &str, webhook: &str, job: &str) -> Result<String, Error> {
    loop {
        let text =
            session.client.get(&["v1", brand, "webhooks", webhook, "redeliver", job], &Query::new()).await?;
        let seen: Job = parse(&text)?;
        show(&seen)?;
        if seen.state != "running" {
            return Ok(text);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Draws the progress for who sits in front of it.
fn show(job: &Job) -> Result<(), Error> {
    if !stderr().is_terminal() {
        return Ok(());
    }
    let end = if job.state == "running" { "" } else { "\n" };
    write!(stderr(), "\r{} {} of {}, {} delivered{end}", bar(job), job.attempted, job.total, job.delivered)?;
    Ok(stderr().flush()?)
}

fn bar(job: &Job) -> String {
    let total = job.total.max(1);
    let full = usize::try_from(job.attempted.min(total) * BAR as u64 / total).unwrap_or(BAR);
    format!("[{}{}]", "#".repeat(full), ".".repeat(BAR - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_empty_at_first_and_full_at_the_end() {
        let bar_of = |attempted, total| bar(&Job { state: String::new(), total, attempted, delivered: 0 });
        assert_eq!(bar_of(0, 0), format!("[{}]", ".".repeat(BAR)));
        assert_eq!(bar_of(1, 2), format!("[{}{}]", "#".repeat(BAR / 2), ".".repeat(BAR / 2)));
        // More may be attempted than there were at first.
        assert_eq!(bar_of(9, 3), format!("[{}]", "#".repeat(BAR)));
    }
}
