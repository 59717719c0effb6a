//! Event types: the catalogue.

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
const MAX_TYPES: usize = 100_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the types, and which of them the brand receives
    List,
    /// List the catalogue (support)
    Catalogue,
    /// Put a type into the catalogue (support)
    Put {
        event_type: String,
        #[arg(long)]
        description: String,
        /// JSON Schema of the data, as JSON or @FILE
        #[arg(long)]
        schema: Option<String>,
        /// Refuse events that do not fit the schema
        #[arg(long, requires = "schema")]
        enforce_schema: bool,
        /// A sample of the data, as JSON or @FILE
        #[arg(long)]
        example: Option<String>,
    },
    /// Take a type out of the catalogue (support)
    Delete { event_type: String },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let (client, output) = (&session.client, session.output);
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
            output.print_done(&format!("{event_type} is deleted"))
        }
    }
}
