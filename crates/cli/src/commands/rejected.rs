//! Events that the router rejected. `--brand` narrows every command to a brand's events. Republishing and deleting are jobs
//! of the API, and the commands wait for their end.

use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::rejected_jobs;
use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::Output;
use crate::output::table::{Column, Table};
use crate::session::Session;
use crate::terminal::escape_text;

const COLUMNS: [Column; 6] = [
    Column::exact("BRAND", "/brandId"),
    Column::exact("REASON", "/reason"),
    Column::text("TYPE", "/type").optional(),
    Column::text("MESSAGE ID", "/messageId"),
    Column::exact("BYTES", "/bytes"),
    Column::text("DETAIL", "/detail"),
];
const SUMMARY_COLUMNS: [Column; 7] = [
    Column::exact("BRAND", "/brandId"),
    Column::exact("REASON", "/reason"),
    Column::text("TYPE", "/type").optional(),
    Column::exact("EVENTS", "/messages"),
    Column::exact("BYTES", "/bytes"),
    Column::exact("FIRST", "/first").optional(),
    Column::exact("LAST", "/last").optional(),
];
const DROPPED_COLUMNS: [Column; 3] = [
    Column::exact("BRAND", "/brandId"),
    Column::exact("DROPPED EVENTS", "/messages"),
    Column::exact("BYTES", "/bytes"),
];
const PATH: [&str; 3] = ["admin", "v1", "rejected"];
/// State of a job that handled all of its events.
const FINISHED: &str = "finished";
/// Interval at which the progress of a job is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the oldest rejected events
    #[command(after_help = "Examples:
  postrider rejected list --brand acme
  postrider rejected list --reason unknown_type --limit 1000")]
    List {
        /// Maximum number of results, up to 1000
        #[arg(long, default_value = "100")]
        limit: usize,
        #[command(flatten)]
        filter: Filter,
    },
    /// Count the rejected events by brand, reason and type, and the dropped ones of the last week by brand
    Summary,
    /// Republish rejected events, once the cause is fixed
    #[command(after_help = "Examples:
  postrider rejected republish --brand acme --reason unknown_type")]
    Republish {
        /// Maximum number of events [default: all]
        #[arg(long)]
        limit: Option<u32>,
        #[command(flatten)]
        filter: Filter,
    },
    /// Delete rejected events: all of them, or those of --brand, --reason or --type
    #[command(after_help = "Examples:
  postrider rejected delete --brand acme --reason invalid_json --yes")]
    Delete {
        /// Confirm the deletion
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        filter: Filter,
    },
    /// List, show or cancel the jobs that republish or delete rejected events
    #[command(subcommand)]
    Jobs(rejected_jobs::Command),
}

/// The events that a command is about, beside `--brand`.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Only events with this reason, such as unknown_type
    #[arg(long)]
    reason: Option<String>,
    /// Only events of this type
    #[arg(long = "type")]
    event_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Job {
    id: String,
    state: String,
}

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    match command {
        Command::Jobs(command) => rejected_jobs::run(session, command).await,
        Command::List { limit, filter } => {
            let mut query = filter_query(session, filter);
            query.push(("limit", limit.to_string()));
            let page: Page = client.get_json(&PATH, &query).await?;
            output.print_list(&page.items, &COLUMNS)
        }
        Command::Summary => {
            let path = ["admin", "v1", "rejected", "summary"];
            let mut summary: Summary = client.get_json(&path, &Query::new()).await?;
            if let Some(brand) = session.given_brand() {
                summary.keep_brand(brand);
            }
            print_summary(output, &summary)
        }
        Command::Republish { limit, filter } => {
            let mut body = json!({});
            if let Some(limit) = limit {
                body["limit"] = json!(limit);
            }
            for (name, value) in filter_query(session, filter) {
                body[name] = json!(value);
            }
            let path = ["admin", "v1", "rejected", "republish"];
            let job = client.send_json(Method::POST, &path, &body).await?;
            finish_job(session, job).await
        }
        Command::Delete { filter, .. } => {
            let query = filter_query(session, filter);
            let job = client.delete_matching(&PATH, &query).await?;
            finish_job(session, job).await
        }
    }
}

/// Waits until a job ends, and prints it.
///
/// # Errors
/// When the job did not handle all of its events, so that a script does not take a stopped job for a finished one.
async fn finish_job(session: &Session, text: String) -> Result<(), Error> {
    let text = wait_until_ended(session, text).await?;
    session.output.print_resource(&text)?;
    let job: Job = parse_json(&text)?;
    if job.state == FINISHED {
        return Ok(());
    }
    Err(Error::JobStopped { job: escape_text(&job.id), state: escape_text(&job.state) })
}

/// Polls a job until it ends, and returns its last form.
async fn wait_until_ended(session: &Session, mut text: String) -> Result<String, Error> {
    loop {
        let job: Job = parse_json(&text)?;
        if job.state != "running" {
            return Ok(text);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        let path = ["admin", "v1", "rejected", "jobs", &job.id];
        text = session.client.get(&path, &Query::new()).await?;
    }
}

/// The counts of rejected and dropped events.
#[derive(Debug, Deserialize, Serialize)]
struct Summary {
    items: Vec<Value>,
    dropped: Vec<Value>,
    total: u64,
    complete: bool,
}

impl Summary {
    /// Keeps the counts of one brand. The total remains that of all brands.
    fn keep_brand(&mut self, brand: &str) {
        self.items.retain(|group| group["brandId"] == brand);
        self.dropped.retain(|group| group["brandId"] == brand);
    }
}

fn print_counts(output: Output, counts: &[Value], columns: &[Column]) -> Result<(), Error> {
    let counts: Result<Vec<_>, _> = counts.iter().map(serde_json::value::to_raw_value).collect();
    let counts = counts.map_err(|error| Error::Unreadable(error.to_string()))?;
    output.print_table(Table::from_items(&counts, columns))
}

fn print_summary(output: Output, summary: &Summary) -> Result<(), Error> {
    if output.is_json() {
        return output.print_resource(&json!(summary).to_string());
    }
    print_counts(output, &summary.items, &SUMMARY_COLUMNS)?;
    if summary.dropped.is_empty() { Ok(()) } else { print_counts(output, &summary.dropped, &DROPPED_COLUMNS) }
}

fn filter_query(session: &Session, filter: Filter) -> Query<'static> {
    let brand = session.given_brand().map(str::to_owned);
    let filters = [("brandId", brand), ("reason", filter.reason), ("type", filter.event_type)];
    filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_narrowed_to_a_brand() {
        let text = r#"{"items":[{"brandId":"a","messages":1},{"brandId":null,"messages":2}],
            "dropped":[{"brandId":"a","messages":3},{"brandId":"b","messages":4}],"total":3,"complete":true}"#;
        let mut summary: Summary = serde_json::from_str(text).expect("a summary");
        summary.keep_brand("a");
        assert_eq!(json!(summary.items), json!([{"brandId": "a", "messages": 1}]));
        assert_eq!(json!(summary.dropped), json!([{"brandId": "a", "messages": 3}]));
    }
}
