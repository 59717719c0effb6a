//! What the router refused.

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
    /// List the first of them
    List {
        /// At most so many, 1000 at most
        #[arg(long, default_value = "100")]
        limit: usize,
    },
    /// Publish them again, once the cause is mended
    Republish {
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
    },
    /// Delete all of them
    Delete {
        /// That this is meant
        #[arg(long, required = true)]
        yes: bool,
    },
}

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let (client, output) = (&session.client, session.output);
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
            output.print_done("all of them are deleted")
        }
    }
}
