//! The tokens of a brand.

use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::json;

use crate::client::Query;
use crate::error::Error;
use crate::output::Column;
use crate::session::Session;

const COLUMNS: [Column; 4] =
    [("TOKEN", "/id"), ("NAME", "/name"), ("ROLE", "/role"), ("CREATED", "/created")];
/// Maximum number of tokens that are listed.
const MAX_TOKENS: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the brand's tokens
    List,
    /// Create a token; it is shown only once
    Create {
        /// Name that identifies the token in lists and in the audit log
        name: String,
        /// Permissions of the token
        #[arg(long, default_value = "read")]
        role: Role,
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
    let tokens = ["admin", "v1", "brands", &brand, "tokens"];
    match command {
        Command::List => {
            output.print_list(&client.list_items(&tokens, Query::new(), MAX_TOKENS).await?, &COLUMNS)
        }
        Command::Create { name, role } => {
            let role = match role {
                Role::Read => "read",
                Role::Write => "write",
            };
            output.print_resource(
                &client.send_json(Method::POST, &tokens, &json!({"name": name, "role": role})).await?,
            )
        }
        Command::Delete { token_id } => {
            client
                .send_empty(Method::DELETE, &["admin", "v1", "brands", &brand, "tokens", &token_id])
                .await?;
            output.print_confirmation(&format!("{token_id} is deleted"))
        }
    }
}
