//! Lists the events of a webhook and publishes events.

use clap::Subcommand;
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;

use super::event_filter::EventFilter;
use crate::client::Query;
use crate::error::Error;
use crate::json_arg::read_json_arg;
use crate::output::Column;
use crate::session::Session;

const EVENT_COLUMNS: [Column; 6] = [
    ("EVENT", "/id"),
    ("CREATED", "/created"),
    ("TYPE", "/type"),
    ("STATUS", "/delivery/status"),
    ("ATTEMPTS", "/delivery/attempts"),
    ("LAST ERROR", "/delivery/lastError"),
];
const ATTEMPT_COLUMNS: [Column; 6] = [
    ("ATTEMPT", "/attemptId"),
    ("STARTED", "/startedAt"),
    ("MS", "/durationMs"),
    ("OUTCOME", "/outcome"),
    ("STATUS", "/statusCode"),
    ("ERROR", "/error"),
];
/// Maximum number of attempts that are listed; a delivery's retries are far fewer.
const MAX_ATTEMPTS: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List a webhook's events, oldest first
    List {
        /// Id of the webhook
        webhook: String,
        #[command(flatten)]
        filter: EventFilter,
        /// List the newest events first
        #[arg(long)]
        newest: bool,
        /// Maximum number of results
        #[arg(long, default_value = "100")]
        limit: usize,
    },
    /// Show an event with its data and delivery
    Show {
        /// Id of the webhook
        webhook: String,
        /// Id of the event
        event: String,
    },
    /// List the attempts to deliver an event
    Attempts {
        /// Id of the webhook
        webhook: String,
        /// Id of the event
        event: String,
    },
    /// Publish an event
    Publish {
        /// Event type, such as NOTIFICATION.SMS.RECEIPT
        event_type: String,
        /// Data of the event: JSON, or @FILE to read it from a file
        #[arg(long)]
        data: String,
    },
}

/// A new event. Its data is passed on as it was given.
#[derive(Debug, Serialize)]
struct NewEvent<'a> {
    r#type: &'a str,
    data: &'a RawValue,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    let brand = session.resolve_brand().await?;
    match command {
        Command::List { webhook, filter, newest, limit } => {
            let mut query = filter.into_query();
            query.extend(newest.then(|| ("order", "desc".to_owned())));
            let events =
                client.list_items(&["v1", &brand, "webhooks", &webhook, "events"], query, limit).await?;
            output.print_list(&events, &EVENT_COLUMNS)
        }
        Command::Show { webhook, event } => {
            let path = ["v1", &brand, "webhooks", &webhook, "events", &event];
            output.print_resource(&client.get(&path, &Query::new()).await?)
        }
        Command::Attempts { webhook, event } => {
            let path = ["v1", &brand, "webhooks", &webhook, "events", &event, "attempts"];
            output.print_list(&client.list_items(&path, Query::new(), MAX_ATTEMPTS).await?, &ATTEMPT_COLUMNS)
        }
        Command::Publish { event_type, data } => {
            let data = read_json_arg(&data)?;
            let body = NewEvent { r#type: &event_type, data: &data };
            output.print_resource(&client.send_json(Method::POST, &["v1", &brand, "events"], &body).await?)
        }
    }
}
