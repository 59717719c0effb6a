//! Events of a webhook, and publishing some.

use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::event_filter::EventFilter;
use crate::client::Query;
use crate::error::Error;
use crate::json_arg::json_of;
use crate::output::Column;
use crate::session::Session;

const COLUMNS: [Column; 6] = [
    ("EVENT", "/id"),
    ("CREATED", "/created"),
    ("TYPE", "/type"),
    ("STATUS", "/delivery/status"),
    ("ATTEMPTS", "/delivery/attempts"),
    ("LAST ERROR", "/delivery/lastError"),
];
const ATTEMPTS: [Column; 6] = [
    ("ATTEMPT", "/attemptId"),
    ("STARTED", "/startedAt"),
    ("MS", "/durationMs"),
    ("OUTCOME", "/outcome"),
    ("STATUS", "/statusCode"),
    ("ERROR", "/error"),
];
const MOST_ATTEMPTS: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List a webhook's events, oldest first
    List {
        webhook: String,
        #[command(flatten)]
        filter: EventFilter,
        /// Newest first
        #[arg(long)]
        newest: bool,
        /// At most so many
        #[arg(long, default_value = "100")]
        limit: usize,
    },
    /// Show an event
    Show { webhook: String, event: String },
    /// List the attempts of an event
    Attempts { webhook: String, event: String },
    /// Publish an event
    Publish {
        event_type: String,
        /// Its data, as JSON or @FILE
        #[arg(long)]
        data: String,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let (client, output, brand) = (&session.client, session.output, session.brand().await?);
    match command {
        Command::List { webhook, filter, newest, limit } => {
            let mut query = filter.query();
            query.extend(newest.then(|| ("order", "desc".to_owned())));
            let events = client.list(&["v1", &brand, "webhooks", &webhook, "events"], query, limit).await?;
            output.list(&events, &COLUMNS)
        }
        Command::Show { webhook, event } => {
            let path = ["v1", &brand, "webhooks", &webhook, "events", &event];
            output.one(&client.get(&path, &Query::new()).await?)
        }
        Command::Attempts { webhook, event } => {
            let path = ["v1", &brand, "webhooks", &webhook, "events", &event, "attempts"];
            output.list(&client.list(&path, Query::new(), MOST_ATTEMPTS).await?, &ATTEMPTS)
        }
        Command::Publish { event_type, data } => {
            let body = json!({"type": event_type, "data": json_of(&data)?});
            output.one(&client.change(Method::POST, &["v1", &brand, "events"], &body).await?)
        }
    }
}
