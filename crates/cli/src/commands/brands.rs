//! Brands, and what they may receive.

use clap::Subcommand;
use http::Method;
use serde_json::json;

use crate::client::Query;
use crate::error::Error;
use crate::output::Column;
use crate::session::Session;

const COLUMNS: [Column; 4] =
    [("BRAND", "/brandId"), ("NAME", "/name"), ("CONTACT", "/contact/email"), ("CREATED", "/created")];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List brands
    List {
        /// At most so many
        #[arg(long, default_value = "100")]
        limit: usize,
    },
    /// Show a brand and what is enabled for it
    Show { brand: String },
    /// Create a brand
    Create {
        brand: String,
        #[arg(long)]
        name: String,
        #[arg(long, requires = "contact_email")]
        contact_name: Option<String>,
        #[arg(long, requires = "contact_name")]
        contact_email: Option<String>,
    },
    /// Let a brand receive a type or group
    Enable { brand: String, type_or_group: String },
    /// Take a type or group from a brand
    Disable { brand: String, type_or_group: String },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let (client, output) = (&session.client, session.output);
    let brands = ["admin", "v1", "brands"];
    match command {
        Command::List { limit } => {
            output.print_list(&client.list_items(&brands, Query::new(), limit).await?, &COLUMNS)
        }
        Command::Show { brand } => {
            output.print_resource(&client.get(&["admin", "v1", "brands", &brand], &Query::new()).await?)
        }
        Command::Create { brand, name, contact_name, contact_email } => {
            let contact = contact_name.map(|name| json!({"name": name, "email": contact_email}));
            let body = json!({"brandId": brand, "name": name, "contact": contact});
            output.print_resource(&client.send_json(Method::POST, &brands, &body).await?)
        }
        Command::Enable { brand, type_or_group } => {
            set_enablement(session, Method::PUT, &brand, &type_or_group).await
        }
        Command::Disable { brand, type_or_group } => {
            set_enablement(session, Method::DELETE, &brand, &type_or_group).await
        }
    }
}

async fn set_enablement(session: &Session, method: Method, brand: &str, pattern: &str) -> Result<(), Error> {
    let word = if method == Method::PUT { "receives" } else { "does not receive" };
    session.client.send_empty(method, &["admin", "v1", "brands", brand, "event-types", pattern]).await?;
    session.output.print_done(&format!("{brand} {word} {pattern}"))
}
