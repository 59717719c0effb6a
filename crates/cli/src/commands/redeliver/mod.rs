//! Redelivers events and shows the progress.

mod ids;
mod job;
mod jobs;

use clap::{Args, ValueEnum, ValueHint};
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use self::ids::read_ids;
use self::job::{Job, wait_until_finished};
pub(crate) use self::jobs::{Command as JobsCommand, run as run_jobs};
use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::print_notice;
use crate::output::words::format_number_of;
use crate::prompt::confirm_or_announce;
use crate::session::Session;
use crate::time_arg::{parse_future, parse_past};
use crate::webhook_ref::{WebhookRef, find_webhook};

/// Redeliver one event, several events, or the failed events of a time range
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postrider redeliver Billing 01F2SFVYVD0H873S2VRT8VQSPM
  postrider redeliver Billing --from 2h                       # the failed events
  postrider redeliver Billing --from yesterday --to today --status held --dry-run
  postrider redeliver Billing --ids @ids.txt

Times are in UTC: an instant, a day, now, today, yesterday, or a distance such as 90m or '2h30m ago'.")]
pub(crate) struct Command {
    /// Webhook: its id, the beginning of its id, or its description
    webhook: String,
    /// Id of the event, for a single one
    #[arg(
        conflicts_with_all = ["from", "to", "event_type", "status", "dry_run", "ids"],
        required_unless_present_any = ["from", "ids"]
    )]
    event: Option<String>,
    /// Only events created at or after this time, such as 2h or 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    from: Option<String>,
    /// Only events created before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_past, requires = "from")]
    to: Option<String>,
    /// Only events of this type or group
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Delivery status of the events
    #[arg(long, value_enum, default_value = "failed")]
    status: StatusChoice,
    /// Ids of up to 1000 events, separated by commas; @FILE to read them from a file, - from the standard input
    #[arg(
        long,
        value_name = "IDS",
        value_hint = ValueHint::FilePath,
        conflicts_with_all = ["from", "to", "event_type", "status", "dry_run"]
    )]
    ids: Option<String>,
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
    /// Returns the word of the API.
    fn as_word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Discarded => "discarded",
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::All => "all",
        }
    }

    /// Describes a number of these events.
    fn describe_events(self, count: &Queued) -> String {
        let more = if count.more { "more than " } else { "" };
        match self {
            Self::All => {
                format!("{more}{} (delivered ones included)", format_number_of(count.queued, "event"))
            }
            status => {
                let thing = format!("{} event", status.as_word());
                format!("{more}{}", format_number_of(count.queued, &thing))
            }
        }
    }
}

/// A range of events, as the API takes it.
#[derive(Debug, Serialize)]
struct Range {
    from: Option<String>,
    to: Option<String>,
    status: &'static str,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
}

/// Events by their ids, as the API takes them.
#[derive(Debug, Serialize)]
struct Selected {
    ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    job_id: Option<String>,
    queued: u64,
    /// Whether there are more events than `queued`.
    #[serde(default)]
    more: bool,
    /// Requested ids for which the webhook has no event.
    #[serde(default)]
    unknown: Vec<String>,
}

pub(crate) async fn redeliver_events(session: &Session, command: Command) -> Result<(), Error> {
    if let Some(event) = &command.event {
        let webhook = find_webhook(session, &command.webhook).await?;
        let path = webhook.path(&["events", event, "redeliver"]);
        return session.output.print_resource(&session.client.send_empty(Method::POST, &path).await?);
    }
    if let Some(ids) = &command.ids {
        let ids = read_ids(ids)?;
        let webhook = find_webhook(session, &command.webhook).await?;
        let events = format_number_of(ids.len() as u64, "event");
        ask_to_redeliver(&events, &webhook.id, command.yes)?;
        return start_job(session, &webhook, &Selected { ids }, command.no_wait).await;
    }
    let webhook = find_webhook(session, &command.webhook).await?;
    redeliver_range(session, &webhook, command).await
}

/// Counts the events of a range, says how many are sent, and redelivers them.
async fn redeliver_range(session: &Session, webhook: &WebhookRef, command: Command) -> Result<(), Error> {
    let status = command.status;
    let to = match command.to {
        Some(to) => to,
        // The API ends the range behind the newest event. This machine's clock may be behind the events' times.
        None => parse_future("1h").map_err(Error::Usage)?,
    };
    let event_type = command.event_type;
    let range = Range { from: command.from, to: Some(to), status: status.as_word(), event_type };
    let dry_run = vec![("dryRun", "true".to_owned())];
    let counted = session.client.post_with_query(&webhook.path(&["redeliver"]), &dry_run, &range).await?;
    let count: Queued = parse_json(&counted)?;
    let events = status.describe_events(&count);
    if command.dry_run {
        let words = format!("{events} would be redelivered to {}", webhook.id);
        return session.output.print_summary(&counted, &words);
    }
    if count.queued == 0 && !session.output.is_json() {
        return session
            .output
            .print_confirmation(&format!("there are {events} to redeliver to {}", webhook.id));
    }
    ask_to_redeliver(&events, &webhook.id, command.yes)?;
    start_job(session, webhook, &range, command.no_wait).await
}

fn ask_to_redeliver(events: &str, webhook: &str, yes: bool) -> Result<(), Error> {
    let question = format!("Redeliver {events} to {webhook}?");
    let announcement = format!("redelivering {events} to {webhook}");
    confirm_or_announce(&question, &announcement, yes, "nothing was redelivered")
}

/// Creates the job and waits for its end. Fails if the job ends before every event was attempted.
async fn start_job(
    session: &Session,
    webhook: &WebhookRef,
    body: &impl Serialize,
    no_wait: bool,
) -> Result<(), Error> {
    let answer = session.client.send_json(Method::POST, &webhook.path(&["redeliver"]), body).await;
    if let Err(Error::Refused(refusal)) = &answer
        && refusal.status == StatusCode::CONFLICT
        && let Some(job) = refusal.job_id()
    {
        print_notice(&format!(
            "to see the open job: postrider redeliveries show {job} --webhook {}",
            webhook.id
        ));
    }
    let answer = answer?;
    let queued: Queued = parse_json(&answer)?;
    for id in &queued.unknown {
        print_notice(&format!("the webhook has no event {id}; it is not redelivered"));
    }
    let Some(job) = queued.job_id else { return session.output.print_resource(&answer) };
    if no_wait {
        let events = format_number_of(queued.queued, "event");
        return session.output.print_summary(&answer, &format!("job {job} redelivers {events}"));
    }
    let text = wait_until_finished(session, webhook, &job).await?;
    let ended: Job = parse_json(&text)?;
    session.output.print_summary(&text, &ended.describe())?;
    ended.check_finished()
}

/// Reads a job without waiting for it.
async fn read_job(session: &Session, webhook: &WebhookRef, job: &str) -> Result<String, Error> {
    session.client.get(&webhook.path(&["redeliver", job]), &Query::new()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_names_its_status_so_that_no_default_decides() {
        let words: Vec<_> = StatusChoice::value_variants().iter().map(|choice| choice.as_word()).collect();
        assert_eq!(words, ["failed", "held", "discarded", "pending", "delivered", "all"]);
        let range = Range { from: None, to: None, status: "failed", event_type: None };
        let json = serde_json::to_string(&range).expect("JSON");
        assert_eq!(json, r#"{"from":null,"to":null,"status":"failed"}"#);
    }

    #[test]
    fn description_names_number_and_status() {
        let describe = |choice: StatusChoice, queued, more| {
            choice.describe_events(&Queued { job_id: None, queued, more, unknown: Vec::new() })
        };
        assert_eq!(describe(StatusChoice::Failed, 1, false), "1 failed event");
        assert_eq!(describe(StatusChoice::Held, 0, false), "0 held events");
        assert_eq!(describe(StatusChoice::Failed, 100_000, true), "more than 100,000 failed events");
        assert_eq!(describe(StatusChoice::All, 2, false), "2 events (delivered ones included)");
    }
}
