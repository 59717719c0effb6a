//! Events that the router rejected. `--brand` narrows every command to a brand's events.

use clap::Subcommand;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::client::Query;
use crate::error::Error;
use crate::output::{Column, Output, print_columns};
use crate::session::Session;

const COLUMNS: [Column; 5] = [
    ("BRAND", "/brandId"),
    ("REASON", "/reason"),
    ("MESSAGE ID", "/messageId"),
    ("BYTES", "/bytes"),
    ("DETAIL", "/detail"),
];
const SUMMARY_COLUMNS: [Column; 4] =
    [("BRAND", "/brandId"), ("REASON", "/reason"), ("EVENTS", "/messages"), ("BYTES", "/bytes")];
const DROPPED_COLUMNS: [Column; 3] =
    [("BRAND", "/brandId"), ("DROPPED EVENTS", "/messages"), ("BYTES", "/bytes")];
const PATH: [&str; 3] = ["admin", "v1", "rejected"];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the oldest rejected events
    List {
        /// Maximum number of results, up to 1000
        #[arg(long, default_value = "100")]
        limit: usize,
        /// Only events with this reason, such as unknown_type
        #[arg(long)]
        reason: Option<String>,
    },
    /// Count the rejected events by brand and reason, and the dropped ones of the last week by brand
    Summary,
    /// Republish rejected events, once the cause is fixed
    Republish {
        /// Maximum number of events [default: all]
        #[arg(long)]
        limit: Option<u32>,
        /// Only events with this reason
        #[arg(long)]
        reason: Option<String>,
    },
    /// Delete rejected events: all of them, or those of --brand or --reason
    Delete {
        /// Confirm the deletion
        #[arg(long, required = true)]
        yes: bool,
        /// Only events with this reason
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    match command {
        Command::List { limit, reason } => {
            let mut query = filter_query(session, reason);
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
        Command::Republish { limit, reason } => {
            let mut body = json!({});
            if let Some(limit) = limit {
                body["limit"] = json!(limit);
            }
            for (name, value) in filter_query(session, reason) {
                body[name] = json!(value);
            }
            let path = ["admin", "v1", "rejected", "republish"];
            output.print_resource(&client.send_json(Method::POST, &path, &body).await?)
        }
        Command::Delete { reason, .. } => {
            let query = filter_query(session, reason);
            let deletes_all = query.is_empty();
            let response = client.delete_matching(&PATH, &query).await?;
            if deletes_all {
                return output.print_confirmation("all rejected events are deleted");
            }
            output.print_resource(&response)
        }
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

fn print_counts(counts: &[Value], columns: &[Column]) -> Result<(), Error> {
    let counts: Result<Vec<_>, _> = counts.iter().map(serde_json::value::to_raw_value).collect();
    print_columns(&counts.map_err(|error| Error::Unreadable(error.to_string()))?, columns)
}

fn print_summary(output: Output, summary: &Summary) -> Result<(), Error> {
    if output == Output::Json {
        return output.print_resource(&json!(summary).to_string());
    }
    print_counts(&summary.items, &SUMMARY_COLUMNS)?;
    if summary.dropped.is_empty() { Ok(()) } else { print_counts(&summary.dropped, &DROPPED_COLUMNS) }
}

fn filter_query(session: &Session, reason: Option<String>) -> Query<'static> {
    let brand = session.given_brand().map(|brand| ("brandId", brand.to_owned()));
    brand.into_iter().chain(reason.map(|reason| ("reason", reason))).collect()
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
