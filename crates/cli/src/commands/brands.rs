//! Brands and the event types that are enabled for them.

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
        /// Maximum number of results
        #[arg(long, default_value = "100")]
        limit: usize,
    },
    /// Show a brand and its enabled event types
    Show {
        /// Id of the brand
        brand: String,
    },
    /// Create a brand
    Create {
        /// Id of the brand: 1 to 64 of A-Z a-z 0-9 _ -
        brand: String,
        /// Name for people
        #[arg(long)]
        name: String,
        /// Name of the point of contact
        #[arg(long, requires = "contact_email")]
        contact_name: Option<String>,
        /// Email address of the point of contact
        #[arg(long, requires = "contact_name")]
        contact_email: Option<String>,
    },
    /// Enable an event type or group for a brand
    Enable {
        /// Id of the brand
        brand: String,
        /// Event type, or a group such as NOTIFICATION.SMS
        type_or_group: String,
    },
    /// Disable an event type or group for a brand
    Disable {
        /// Id of the brand
        brand: String,
        /// Event type, or a group such as NOTIFICATION.SMS
        type_or_group: String,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
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
    let verb = if method == Method::PUT { "enabled" } else { "disabled" };
    session.client.send_empty(method, &["admin", "v1", "brands", brand, "event-types", pattern]).await?;
    session.output.print_confirmation(&format!("{pattern} is {verb} for {brand}"))
}
