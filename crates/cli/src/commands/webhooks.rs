//! The webhooks of a brand.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use crate::client::Query;
use crate::error::Error;
use crate::output::Column;
use crate::session::Session;

const COLUMNS: [Column; 4] =
    [("WEBHOOK", "/id"), ("STATUS", "/status"), ("ENDPOINT", "/endpoint"), ("EVENTS", "/events")];

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the brand's webhooks
    List {
        /// Maximum number of results
        #[arg(long, default_value = "100")]
        limit: usize,
    },
    /// Show a webhook
    Show {
        /// Id of the webhook
        webhook: String,
    },
    /// Create a webhook and show its secret
    Create(WebhookFields),
    /// Edit a webhook; settings that are not given stay as they are
    Update {
        /// Id of the webhook
        webhook: String,
        #[command(flatten)]
        fields: WebhookFields,
    },
    /// Delete a webhook; its pending deliveries are discarded
    Delete {
        /// Id of the webhook
        webhook: String,
    },
    /// Pause a webhook; events that occur while it is paused are not recorded for it
    Pause {
        /// Id of the webhook
        webhook: String,
    },
    /// Resume a paused webhook
    Resume {
        /// Id of the webhook
        webhook: String,
    },
    /// Show the secret that signs a webhook's requests, and the values of its custom headers
    Secret {
        /// Id of the webhook
        webhook: String,
    },
    /// Rotate a webhook's secret; both secrets sign during the overlap
    Rotate {
        /// Id of the webhook
        webhook: String,
        /// Seconds for which the previous secret signs, too
        #[arg(long, default_value = "86400")]
        overlap_seconds: u32,
    },
    /// Send a test event to a webhook
    Test {
        /// Id of the webhook
        webhook: String,
        /// Event type to send [default: any subscribed type]
        #[arg(long = "type")]
        event_type: Option<String>,
    },
    /// Show the failures that count towards disabling a webhook
    Health {
        /// Id of the webhook
        webhook: String,
    },
    /// Disable a webhook (support)
    Disable {
        /// Id of the webhook
        webhook: String,
        /// Reason, shown to the brand
        #[arg(long)]
        detail: String,
    },
    /// Enable a disabled webhook (support)
    Enable {
        /// Id of the webhook
        webhook: String,
        /// Note for the audit log
        #[arg(long)]
        note: String,
        /// Redeliver the held events
        #[arg(long)]
        redeliver_held: bool,
    },
}

/// Settings of a webhook.
#[derive(Debug, Args)]
pub(crate) struct WebhookFields {
    /// HTTPS URL that receives the events
    #[arg(long)]
    endpoint: Option<String>,
    /// Event types or groups to subscribe to, separated by commas; * for all
    #[arg(long, value_delimiter = ',')]
    events: Option<Vec<String>>,
    /// Description for people
    #[arg(long)]
    description: Option<String>,
    /// Custom header to send with every request; can be repeated. Headers that are not named stay
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// Maximum number of concurrent requests
    #[arg(long)]
    max_concurrency: Option<u16>,
    /// Maximum number of requests per second
    #[arg(long)]
    rate_per_second: Option<u32>,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl WebhookFields {
    /// Returns the JSON members for the settings that are given.
    fn into_body(self) -> Value {
        let mut body = Map::new();
        let mut put =
            |name: &str, value: Option<Value>| value.and_then(|value| body.insert(name.to_owned(), value));
        put("endpoint", self.endpoint.map(Value::from));
        put("events", self.events.map(Value::from));
        put("description", self.description.map(Value::from));
        put("maxConcurrency", self.max_concurrency.map(Value::from));
        put("ratePerSecond", self.rate_per_second.map(Value::from));
        let headers: Map<String, Value> =
            self.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
        put("headers", (!headers.is_empty()).then_some(Value::Object(headers)));
        Value::Object(body)
    }
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    match command {
        Command::Disable { webhook, detail } => {
            let path = ["admin", "v1", "webhooks", &webhook, "disable"];
            return output
                .print_resource(&client.send_json(Method::POST, &path, &json!({"detail": detail})).await?);
        }
        Command::Enable { webhook, note, redeliver_held } => {
            let path = ["admin", "v1", "webhooks", &webhook, "enable"];
            let body = json!({"note": note, "redeliverHeld": redeliver_held});
            return output.print_resource(&client.send_json(Method::POST, &path, &body).await?);
        }
        _ => {}
    }
    run_for_brand(session, &session.resolve_brand().await?, command).await
}

async fn run_for_brand(session: &Session, brand: &str, command: Command) -> Result<(), Error> {
    let client = &session.client;
    let output = session.output;
    let all = ["v1", brand, "webhooks"];
    let get = async |webhook: &str, rest: &[&str]| {
        client.get(&[&["v1", brand, "webhooks", webhook], rest].concat(), &Query::new()).await
    };
    let change = async |method: Method, webhook: &str, rest: &[&str], body: &Value| {
        client.send_json(method, &[&["v1", brand, "webhooks", webhook], rest].concat(), body).await
    };
    match command {
        Command::List { limit } => {
            output.print_list(&client.list_items(&all, Query::new(), limit).await?, &COLUMNS)
        }
        Command::Create(fields) => {
            output.print_resource(&client.send_json(Method::POST, &all, &fields.into_body()).await?)
        }
        Command::Show { webhook } => output.print_resource(&get(&webhook, &[]).await?),
        Command::Secret { webhook } => output.print_resource(&get(&webhook, &["secret"]).await?),
        Command::Health { webhook } => output.print_resource(&get(&webhook, &["health"]).await?),
        Command::Update { webhook, fields } => {
            output.print_resource(&change(Method::PATCH, &webhook, &[], &fields.into_body()).await?)
        }
        Command::Pause { webhook } => {
            output.print_resource(&change(Method::PATCH, &webhook, &[], &json!({"enabled": false})).await?)
        }
        Command::Resume { webhook } => {
            output.print_resource(&change(Method::PATCH, &webhook, &[], &json!({"enabled": true})).await?)
        }
        Command::Rotate { webhook, overlap_seconds } => {
            let body = json!({"overlapSeconds": overlap_seconds});
            output.print_resource(&change(Method::POST, &webhook, &["secret", "rotate"], &body).await?)
        }
        Command::Test { webhook, event_type } => {
            let body = event_type.map_or_else(|| json!({}), |name| json!({"type": name}));
            output.print_resource(&change(Method::POST, &webhook, &["test"], &body).await?)
        }
        Command::Delete { webhook } => {
            client.send_empty(Method::DELETE, &["v1", brand, "webhooks", &webhook]).await?;
            output.print_confirmation(&format!("{webhook} is deleted"))
        }
        // Handled by `run`, because they need no brand.
        Command::Disable { .. } | Command::Enable { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_split_at_the_first_equals_sign() {
        assert_eq!(parse_header("x-team=a=b"), Ok(("x-team".to_owned(), "a=b".to_owned())));
        assert_eq!(parse_header("x-team="), Ok(("x-team".to_owned(), String::new())));
        assert_eq!(parse_header("x-team"), Err("write it as name=value".to_owned()));
    }

    #[test]
    fn body_holds_only_the_settings_that_are_given() {
        let fields = WebhookFields {
            endpoint: None,
            events: Some(vec!["A".to_owned(), "B.C".to_owned()]),
            description: None,
            headers: vec![("x-team".to_owned(), "a".to_owned())],
            max_concurrency: Some(3),
            rate_per_second: None,
        };
        let expected = json!({"events": ["A", "B.C"], "headers": {"x-team": "a"}, "maxConcurrency": 3});
        assert_eq!(fields.into_body(), expected);
    }
}
