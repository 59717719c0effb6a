//! Lists events, shows one, and publishes one.

mod exchange;
mod list;

use clap::{Args, Subcommand, ValueHint};
use http::Method;
use serde::Serialize;
use serde_json::value::RawValue;

pub(super) use self::list::BRAND_COLUMNS;
use self::list::ListOptions;
use crate::client::Query;
use crate::error::Error;
use crate::json_arg::read_json_arg;
use crate::output::table::Column;
use crate::session::Session;
use crate::webhook_ref::find_webhook;

const ATTEMPT_COLUMNS: [Column; 6] = [
    Column::exact("ATTEMPT", "/attemptId"),
    Column::exact("STARTED", "/startedAt"),
    Column::exact("MS", "/durationMs"),
    Column::word("OUTCOME", "/outcome"),
    Column::exact("STATUS", "/statusCode"),
    Column::text("ERROR", "/error"),
];
/// Maximum number of attempts that are listed; a delivery's retries are far fewer.
const MAX_ATTEMPTS: usize = 1000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List events, newest first: of a webhook, or all of the brand
    #[command(after_help = "Examples:
  postrider events list Billing --status failed --from 1h
  postrider events list 9e21c694 --outcome timeout --from yesterday --all
  postrider events list --all-of-brand --disposition not_enabled
  postrider events list --key order-4711

Times are in UTC: an instant, a day, now, today, yesterday, or a distance such as 90m or '2h30m ago'.")]
    List(Box<ListOptions>),
    /// Show an event of a webhook with its data and delivery
    Show {
        #[command(flatten)]
        event: EventOfWebhook,
    },
    /// List the attempts to deliver an event to a webhook
    Attempts {
        #[command(flatten)]
        event: EventOfWebhook,
    },
    /// Show the request and the response of an attempt
    #[command(after_help = "Examples:
  postrider events attempt Billing 01F2SFVYVD0H873S2VRT8VQSPM")]
    Attempt {
        #[command(flatten)]
        event: EventOfWebhook,
        /// Id of the attempt [default: the last one]
        attempt: Option<String>,
    },
    /// Publish an event
    #[command(after_help = "Examples:
  postrider events publish NOTIFICATION.SMS.RECEIPT --data '{\"message\":\"Hi\"}'
  postrider events publish ORDER.PAID --data @order.json --key order-4711")]
    Publish(NewEventOptions),
}

/// The arguments that name an event of a webhook.
#[derive(Debug, Args)]
pub(crate) struct EventOfWebhook {
    /// Webhook: its id, the beginning of its id, or its description
    webhook: String,
    /// Id of the event
    event: String,
}

/// The event to publish.
#[derive(Debug, Args)]
pub(crate) struct NewEventOptions {
    /// Event type, such as NOTIFICATION.SMS.RECEIPT
    event_type: String,
    /// Data of the event: JSON, or @FILE to read it from a file; its bytes are not changed
    #[arg(long, value_name = "JSON", value_hint = ValueHint::FilePath)]
    data: String,
    /// Key by which the event can be found, such as an order id; endpoints do not get it
    #[arg(long)]
    key: Option<String>,
    /// Id of the event, a ULID; the same id published twice is one event [default: a new one]
    #[arg(long, value_name = "ULID")]
    id: Option<String>,
}

/// A new event. Its data is passed on as it was given.
#[derive(Debug, Serialize)]
struct NewEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    data: &'a RawValue,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    match command {
        Command::List(options) => list::list_events(session, *options).await,
        Command::Show { event: EventOfWebhook { webhook, event } } => {
            let webhook = find_webhook(session, &webhook).await?;
            output.print_resource(&client.get(&webhook.path(&["events", &event]), &Query::new()).await?)
        }
        Command::Attempts { event: EventOfWebhook { webhook, event } } => {
            let webhook = find_webhook(session, &webhook).await?;
            let path = webhook.path(&["events", &event, "attempts"]);
            output.print_list(&client.list_items(&path, Query::new(), MAX_ATTEMPTS).await?, &ATTEMPT_COLUMNS)
        }
        Command::Attempt { event: EventOfWebhook { webhook, event }, attempt } => {
            let webhook = find_webhook(session, &webhook).await?;
            exchange::show_attempt(session, &webhook, &event, attempt).await
        }
        Command::Publish(options) => publish_event(session, &options).await,
    }
}

async fn publish_event(session: &Session, options: &NewEventOptions) -> Result<(), Error> {
    let data = read_json_arg(&options.data)?;
    let brand = session.resolve_brand().await?;
    let event = NewEvent {
        id: options.id.as_deref(),
        r#type: &options.event_type,
        key: options.key.as_deref(),
        data: &data,
    };
    let answer = session.client.send_json(Method::POST, &["v1", &brand, "events"], &event).await?;
    session.output.print_resource(&answer)
}
