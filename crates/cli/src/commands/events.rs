//! Events of a webhook, and publishing some.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;

use super::types::json_of;
use crate::client::Query;
use crate::error::Error;
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
        filter: Filter,
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

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct Filter {
    /// Created at this instant or later (RFC 3339)
    #[arg(long)]
    pub(super) from: Option<String>,
    /// Created before this instant (RFC 3339)
    #[arg(long)]
    pub(super) to: Option<String>,
    /// Of this type or group
    #[arg(long = "type")]
    pub(super) event_type: Option<String>,
    /// pending, delivered, failed, held or discarded
    #[arg(long)]
    pub(super) status: Option<String>,
}

impl Filter {
    pub(super) fn query(self) -> Query<'static> {
        let named =
            [("from", self.from), ("to", self.to), ("type", self.event_type), ("status", self.status)];
        named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
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
