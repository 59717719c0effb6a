//! Event types: the list of a brand and the catalogue of the platform.

use clap::Subcommand;
use http::Method;
use serde_json::json;

use crate::client::Query;
use crate::error::Error;
use crate::json_arg::parse_json_arg;
use crate::output::Column;
use crate::session::Session;

const OFFERED_COLUMNS: [Column; 3] =
    [("TYPE", "/type"), ("ENABLED", "/enabled"), ("DESCRIPTION", "/description")];
const CATALOGUE_COLUMNS: [Column; 3] =
    [("TYPE", "/type"), ("ENFORCED", "/enforceSchema"), ("DESCRIPTION", "/description")];
/// Maximum number of event types that are listed.
const MAX_TYPES: usize = 100_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all event types and whether each is enabled for the brand
    List,
    /// List the catalogue with its settings (support)
    Catalogue,
    /// Add an event type to the catalogue, or replace it (support)
    Put {
        /// Event type, such as NOTIFICATION.SMS.RECEIPT
        event_type: String,
        /// Description for people
        #[arg(long)]
        description: String,
        /// JSON Schema of the data: JSON, or @FILE to read it from a file
        #[arg(long)]
        schema: Option<String>,
        /// Reject events whose data violates the schema
        #[arg(long, requires = "schema")]
        enforce_schema: bool,
        /// Example of the data, sent by test events: JSON, or @FILE to read it from a file
        #[arg(long)]
        example: Option<String>,
    },
    /// Delete an event type from the catalogue (support)
    Delete {
        /// Event type, such as NOTIFICATION.SMS.RECEIPT
        event_type: String,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    match command {
        Command::List => {
            let types = client
                .list_items(&["v1", &session.resolve_brand().await?, "event-types"], Query::new(), MAX_TYPES)
                .await?;
            output.print_list(&types, &OFFERED_COLUMNS)
        }
        Command::Catalogue => output.print_list(
            &client.list_items(&["admin", "v1", "event-types"], Query::new(), MAX_TYPES).await?,
            &CATALOGUE_COLUMNS,
        ),
        Command::Put { event_type, description, schema, enforce_schema, example } => {
            let mut body = json!({"description": description, "enforceSchema": enforce_schema});
            for (name, given) in [("schema", schema), ("example", example)] {
                if let Some(given) = given {
                    body[name] = parse_json_arg(&given)?;
                }
            }
            output.print_resource(
                &client.send_json(Method::PUT, &["admin", "v1", "event-types", &event_type], &body).await?,
            )
        }
        Command::Delete { event_type } => {
            client.send_empty(Method::DELETE, &["admin", "v1", "event-types", &event_type]).await?;
            output.print_confirmation(&format!("{event_type} is deleted"))
        }
    }
}
