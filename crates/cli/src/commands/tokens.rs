//! The tokens of a brand.

use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::json;

use crate::client::Query;
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;
use crate::time_arg::parse_future;

const COLUMNS: [Column; 6] = [
    Column::exact("TOKEN", "/id"),
    Column::text("NAME", "/name"),
    Column::word("ROLE", "/role"),
    Column::exact("CREATED", "/created"),
    Column::exact("LAST USED", "/lastUsedAt").optional(),
    Column::exact("EXPIRES", "/expires").optional(),
];
/// Maximum number of tokens that are listed.
const MAX_TOKENS: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the brand's tokens
    List,
    /// Create a token; it is shown only once. A token that expires creates none that outlives it
    #[command(after_help = "Examples:
  postrider tokens create production --role write
  postrider tokens create Grace --expires 90d
  postrider tokens create production --role write --brand acme     # as support")]
    Create {
        /// Name that identifies the token in lists and in the audit log
        name: String,
        /// Permissions of the token
        #[arg(long, value_enum, default_value = "read")]
        role: Role,
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

/// The permissions of a token.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// Read the brand's webhooks and events, but no secrets
    Read,
    /// Read and change everything of the brand
    Write,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    let brand = session.resolve_brand().await?;
    let tokens = ["v1", &brand, "tokens"];
    match command {
        Command::List => {
            output.print_list(&client.list_items(&tokens, Query::new(), MAX_TOKENS).await?, &COLUMNS)
        }
        Command::Create { name, role, expires } => {
            let role = match role {
                Role::Read => "read",
                Role::Write => "write",
            };
            let mut body = json!({"name": name, "role": role});
            if let Some(expires) = expires {
                body["expires"] = json!(expires);
            }
            output.print_resource(&client.send_json(Method::POST, &tokens, &body).await?)
        }
        Command::Delete { token_id } => {
            client.send_empty(Method::DELETE, &["v1", &brand, "tokens", &token_id]).await?;
            output.print_confirmation(&format!("{token_id} is deleted"))
        }
    }
}
