//! The named tokens of support.

use clap::Subcommand;
use http::Method;
use serde_json::json;

use crate::client::Query;
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;
use crate::time_arg::parse_future;

const COLUMNS: [Column; 5] = [
    Column::exact("TOKEN", "/id"),
    Column::text("NAME", "/name"),
    Column::exact("CREATED", "/created"),
    Column::exact("LAST USED", "/lastUsedAt").optional(),
    Column::exact("EXPIRES", "/expires").optional(),
];
/// Maximum number of tokens that are listed.
const MAX_TOKENS: usize = 1000;
const TOKENS: [&str; 3] = ["admin", "v1", "tokens"];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the named tokens, without the token of the server's settings
    List,
    /// Create a token; it is shown only once, and has all rights of support
    #[command(after_help = "Examples:
  postrider support-tokens create Ada --expires 365d")]
    Create {
        /// Name of the person or program that uses the token; the audit log shows it
        name: String,
        /// When the token expires, such as 90d or 2027-01-01 [default: never]
        #[arg(long, value_name = "TIME", value_parser = parse_future)]
        expires: Option<String>,
    },
    /// Delete a token; requests with it are refused from then on
    Delete {
        /// Id of the token, not the token itself
        token_id: String,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    match command {
        Command::List => {
            output.print_list(&client.list_items(&TOKENS, Query::new(), MAX_TOKENS).await?, &COLUMNS)
        }
        Command::Create { name, expires } => {
            let mut body = json!({"name": name});
            if let Some(expires) = expires {
                body["expires"] = json!(expires);
            }
            output.print_resource(&client.send_json(Method::POST, &TOKENS, &body).await?)
        }
        Command::Delete { token_id } => {
            let path = ["admin", "v1", "tokens", &token_id];
            client.send_empty(Method::DELETE, &path).await?;
            output.print_confirmation(&format!("{token_id} is deleted"))
        }
    }
}
