//! Brands and the event types that are enabled for them.

use clap::{Args, Subcommand, ValueHint};
use http::Method;
use serde_json::{Map, Value, json};

use super::listing::{Limit, print_pages};
use crate::client::Query;
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;

const COLUMNS: [Column; 4] = [
    Column::exact("BRAND", "/brandId"),
    Column::text("NAME", "/name"),
    Column::text("CONTACT", "/contact/email"),
    Column::exact("CREATED", "/created"),
];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List brands
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a brand, its enabled event types, its quotas and the events that wait for it
    Show {
        /// Id of the brand
        brand: String,
    },
    /// Create a brand
    #[command(after_help = "Examples:
  postrider brands create acme --name Acme --contact-name Ada --contact-email ada@example.com
  postrider brands create acme --name Acme --events-per-second 500")]
    Create {
        /// Id of the brand: 1 to 64 of A-Z a-z 0-9 _ -
        brand: String,
        /// Name for people
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// Name of the point of contact
        #[arg(long, value_name = "TEXT", requires = "contact_email")]
        contact_name: Option<String>,
        /// Email address of the point of contact
        #[arg(
            long,
            value_name = "ADDRESS",
            value_hint = ValueHint::EmailAddress,
            requires = "contact_name"
        )]
        contact_email: Option<String>,
        #[command(flatten)]
        quotas: QuotaOptions,
    },
    /// Change the quotas of a brand; quotas that are not given stay
    #[command(after_help = "Examples:
  postrider brands quotas acme --events-per-second 500
  postrider brands quotas acme --events-per-second default")]
    Quotas {
        /// Id of the brand
        brand: String,
        #[command(flatten)]
        quotas: QuotaOptions,
    },
    /// Enable an event type or group for a brand
    #[command(after_help = "Examples:
  postrider brands enable acme NOTIFICATION
  postrider brands enable acme ORDER.PAID")]
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

/// The quotas of a brand.
#[derive(Debug, Args)]
pub(crate) struct QuotaOptions {
    /// Events a second that the brand may publish, or `default` for no limit
    #[arg(long, value_name = "N", value_parser = parse_quota)]
    events_per_second: Option<Value>,
    /// Bytes of event messages a second that the brand may publish, or `default` for no limit
    #[arg(long, value_name = "BYTES", value_parser = parse_quota)]
    bytes_per_second: Option<Value>,
    /// Deliveries a second that the brand's events may cause, or `default` for no limit
    #[arg(long, value_name = "N", value_parser = parse_quota)]
    deliveries_per_second: Option<Value>,
    /// Bytes of event messages of the brand that may wait to be routed, or `default` for 1 GiB
    #[arg(long, value_name = "BYTES", value_parser = parse_quota)]
    waiting_bytes: Option<Value>,
}

impl QuotaOptions {
    /// Returns the merge patch of the quotas that are given.
    fn into_patch(self) -> Map<String, Value> {
        let given = [
            ("eventsPerSecond", self.events_per_second),
            ("bytesPerSecond", self.bytes_per_second),
            ("deliveriesPerSecond", self.deliveries_per_second),
            ("waitingBytes", self.waiting_bytes),
        ];
        given.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))).collect()
    }
}

/// Parses a number, or `default` as null.
fn parse_quota(text: &str) -> Result<Value, String> {
    match text {
        "default" => Ok(Value::Null),
        _ => text.parse::<u64>().map(Value::from).map_err(|_| "it is a number or default".to_owned()),
    }
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    let brands = ["admin", "v1", "brands"];
    match command {
        Command::List { limit } => print_pages(session, &brands, Query::new(), &limit, &COLUMNS).await,
        Command::Show { brand } => {
            output.print_resource(&client.get(&["admin", "v1", "brands", &brand], &Query::new()).await?)
        }
        Command::Create { brand, name, contact_name, contact_email, quotas } => {
            let contact = contact_name.map(|name| json!({"name": name, "email": contact_email}));
            let body =
                json!({"brandId": brand, "name": name, "contact": contact, "quotas": quotas.into_patch()});
            output.print_resource(&client.send_json(Method::POST, &brands, &body).await?)
        }
        Command::Quotas { brand, quotas } => {
            let patch = json!({"quotas": quotas.into_patch()});
            let path = &["admin", "v1", "brands", &brand];
            output.print_resource(&client.send_json(Method::PATCH, path, &patch).await?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_given_quotas_are_in_the_patch() {
        let quota = |text: &str| parse_quota(text).ok();
        let quotas = QuotaOptions {
            events_per_second: quota("100"),
            bytes_per_second: None,
            deliveries_per_second: quota("default"),
            waiting_bytes: None,
        };
        let patch = Value::from(quotas.into_patch());
        assert_eq!(patch, json!({"eventsPerSecond": 100, "deliveriesPerSecond": null}));
        for bad in ["", "-1", "1.5", "none"] {
            assert!(parse_quota(bad).is_err(), "{bad}");
        }
    }
}
