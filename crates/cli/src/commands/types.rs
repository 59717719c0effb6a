//! Event types: the list of a brand and the catalogue of the platform.

use clap::{Subcommand, ValueHint};
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::Query;
use crate::error::Error;
use crate::json_arg::read_json_arg;
use crate::output::table::Column;
use crate::session::Session;

const OFFERED_COLUMNS: [Column; 3] = [
    Column::exact("TYPE", "/type"),
    Column::word("ENABLED", "/enabled"),
    Column::text("DESCRIPTION", "/description"),
];
const CATALOGUE_COLUMNS: [Column; 3] = [
    Column::exact("TYPE", "/type"),
    Column::exact("ENFORCED", "/enforceSchema"),
    Column::text("DESCRIPTION", "/description"),
];
/// Maximum number of event types that are listed.
const MAX_TYPES: usize = 100_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all event types and whether each is enabled for the brand
    List,
    /// List the catalogue with its settings (support)
    Catalogue,
    /// Add an event type to the catalogue, or replace it (support)
    #[command(after_help = "Examples:
  postrider types put ORDER.PAID --description 'An order was paid' --example '{\"order\":\"4711\"}'
  postrider types put ORDER.PAID --description 'An order was paid' --schema @order.schema.json --enforce-schema")]
    Put {
        /// Event type, such as NOTIFICATION.SMS.RECEIPT
        event_type: String,
        /// Description for people
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// JSON Schema of the data: JSON, or @FILE to read it from a file
        #[arg(long, value_name = "JSON", value_hint = ValueHint::FilePath)]
        schema: Option<String>,
        /// Reject events whose data violates the schema
        #[arg(long, requires = "schema")]
        enforce_schema: bool,
        /// Example of the data, sent by test events: JSON, or @FILE to read it from a file
        #[arg(long, value_name = "JSON", value_hint = ValueHint::FilePath)]
        example: Option<String>,
    },
    /// Delete an event type from the catalogue (support)
    Delete {
        /// Event type, such as NOTIFICATION.SMS.RECEIPT
        event_type: String,
    },
}

/// An entry of the catalogue. Its schema and example are passed on as they were given.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    description: String,
    enforce_schema: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<Box<RawValue>>,
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
            let read = |given: Option<String>| given.as_deref().map(read_json_arg).transpose();
            let schema = read(schema)?;
            let example = read(example)?;
            let body = Definition { description, enforce_schema, schema, example };
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
