//! Events that the router rejected.

use clap::Subcommand;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::output::Column;
use crate::session::Session;

const COLUMNS: [Column; 4] =
    [("REASON", "/reason"), ("MESSAGE ID", "/messageId"), ("BYTES", "/bytes"), ("DETAIL", "/detail")];
const PATH: [&str; 3] = ["admin", "v1", "rejected"];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the oldest rejected events
    List {
        /// Maximum number of results, up to 1000
        #[arg(long, default_value = "100")]
        limit: usize,
    },
    /// Republish rejected events, once the cause is fixed
    Republish {
        /// Maximum number of events [default: all]
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Delete all rejected events
    Delete {
        /// Confirm the deletion
        #[arg(long, required = true)]
        yes: bool,
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
        Command::List { limit } => {
            let page: Page = client.get_json(&PATH, &vec![("limit", limit.to_string())]).await?;
            output.print_list(&page.items, &COLUMNS)
        }
        Command::Republish { limit } => {
            let body = limit.map_or_else(|| json!({}), |limit| json!({"limit": limit}));
            let path = ["admin", "v1", "rejected", "republish"];
            output.print_resource(&client.send_json(Method::POST, &path, &body).await?)
        }
        Command::Delete { .. } => {
            client.send_empty(Method::DELETE, &PATH).await?;
            output.print_confirmation("all rejected events are deleted")
        }
    }
}
