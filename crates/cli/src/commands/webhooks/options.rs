//! The command line of `postrider webhooks`.

use clap::{Args, Subcommand, ValueHint};
use serde_json::{Map, Value};

use crate::client::Query;
use crate::commands::listing::{Limit, add_given};

/// Said of each argument that names a webhook.
const WEBHOOK_HELP: &str = "Webhook: its id, the beginning of its id, or its description";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the webhooks of a brand, or of all brands (support)
    #[command(after_help = "Examples:
  postrider webhooks list
  postrider webhooks list --all-brands --health failing
  postrider webhooks list --search example.com --status disabled")]
    List(ListOptions),
    /// Show a webhook
    Show(OneWebhook),
    /// Create a webhook and show its secret
    #[command(after_help = "Examples:
  postrider webhooks create --endpoint https://example.com/hooks --events 'NOTIFICATION,ORDER.PAID'
  postrider webhooks create --endpoint https://example.com/hooks --events '*' --description Billing \\
    --header x-team=billing")]
    Create(NewWebhook),
    /// Edit a webhook; settings that are not given stay as they are
    #[command(after_help = "Examples:
  postrider webhooks update 9e21c694 --description Billing --max-concurrency 20
  postrider webhooks update Billing --events 'NOTIFICATION,ORDER'")]
    Update {
        #[command(flatten)]
        webhook: OneWebhook,
        #[command(flatten)]
        fields: ChangedFields,
    },
    /// Delete a webhook; its pending deliveries are discarded
    Delete {
        #[command(flatten)]
        webhook: OneWebhook,
        /// Confirm the deletion instead of being asked
        #[arg(long, short)]
        yes: bool,
    },
    /// Pause a webhook; events that occur while it is paused are not recorded for it
    Pause(OneWebhook),
    /// Resume a paused webhook
    Resume(OneWebhook),
    /// Show the secret that signs a webhook's requests, and the values of its custom headers
    Secret(OneWebhook),
    /// Rotate a webhook's secret; both secrets sign during the overlap
    #[command(after_help = "Examples:
  postrider webhooks rotate Billing
  postrider webhooks rotate 9e21c694 --overlap-seconds 0")]
    Rotate {
        #[command(flatten)]
        webhook: OneWebhook,
        /// Seconds for which the previous secret also signs
        #[arg(long, value_name = "SECONDS", default_value = "86400")]
        overlap_seconds: u32,
    },
    /// End the overlap of a rotation: the previous secret no longer signs
    EndPrevious(OneWebhook),
    /// Send a test event to a webhook; support may test a disabled one
    #[command(after_help = "Examples:
  postrider webhooks test Billing
  postrider webhooks test 9e21c694 --type NOTIFICATION.SMS.RECEIPT")]
    Test {
        #[command(flatten)]
        webhook: OneWebhook,
        /// Event type to send [default: any subscribed type]
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
    },
    /// Show the failures that count towards disabling a webhook
    Health(OneWebhook),
    /// Show the attempts of a webhook over time
    #[command(after_help = "Examples:
  postrider webhooks stats Billing --from 24h --step 1h
  postrider webhooks stats 9e21c694 --from yesterday --to today --step 1h")]
    Stats {
        #[command(flatten)]
        webhook: OneWebhook,
        #[command(flatten)]
        range: StatsRange,
    },
    /// Disable a webhook (support)
    Disable {
        #[command(flatten)]
        webhook: OneWebhook,
        /// Reason, shown to the brand
        #[arg(long, value_name = "TEXT")]
        detail: String,
    },
    /// Enable a disabled webhook (support)
    #[command(after_help = "Examples:
  postrider webhooks enable 9e21c694 --note 'they moved hosts; spoke with Ada'
  postrider webhooks enable 9e21c694 --note fixed --redeliver-held")]
    Enable {
        #[command(flatten)]
        webhook: OneWebhook,
        /// Note for the audit log
        #[arg(long, value_name = "TEXT")]
        note: String,
        /// Redeliver the held events
        #[arg(long)]
        redeliver_held: bool,
    },
}

/// The argument that names a webhook.
#[derive(Debug, Args)]
pub(crate) struct OneWebhook {
    #[arg(help = WEBHOOK_HELP)]
    pub(super) webhook: String,
}

/// The webhooks to list.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Webhooks of all brands (support)
    #[arg(long)]
    pub(super) all_brands: bool,
    /// Only webhooks with this state of health
    #[arg(
        long,
        value_name = "STATE",
        value_parser = ["healthy", "failing", "resting", "idle", "paused", "disabled"]
    )]
    health: Option<String>,
    /// Only webhooks with this status
    #[arg(long, value_parser = ["active", "paused", "disabled"])]
    status: Option<String>,
    /// Only webhooks whose endpoint or description contains this text
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Order of the list: by creation, or by need for attention
    #[arg(long, value_parser = ["created", "attention"])]
    order: Option<String>,
    #[command(flatten)]
    pub(super) limit: Limit,
}

impl ListOptions {
    /// Returns the query parameters of the filters.
    pub(super) fn to_query(&self) -> Query<'static> {
        let mut query = Query::new();
        let given = [
            ("health", self.health.clone()),
            ("status", self.status.clone()),
            ("q", self.search.clone()),
            ("order", self.order.clone()),
        ];
        add_given(&mut query, given);
        query
    }
}

/// A range of statistics.
#[derive(Debug, Args)]
pub(crate) struct StatsRange {
    /// Start of the range, such as 24h or 2026-11-24 [default: an hour before the end]
    #[arg(long, value_name = "TIME", value_parser = crate::time_arg::parse_past)]
    from: Option<String>,
    /// End of the range [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::time_arg::parse_past)]
    to: Option<String>,
    /// Length of a step, such as 5m or 1h [default: a sixtieth of the range]
    #[arg(long, value_name = "DURATION")]
    step: Option<String>,
}

impl StatsRange {
    /// Returns the query parameters of the range.
    pub(crate) fn into_query(self) -> Query<'static> {
        let mut query = Query::new();
        add_given(&mut query, [("from", self.from), ("to", self.to), ("step", self.step)]);
        query
    }
}

/// The settings of a new webhook.
#[derive(Debug, Args)]
pub(crate) struct NewWebhook {
    /// HTTPS URL that receives the events
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    endpoint: String,
    /// Event types or groups to subscribe to, separated by commas; * for all
    #[arg(long, value_name = "TYPES", value_delimiter = ',', required = true)]
    events: Vec<String>,
    #[command(flatten)]
    settings: Settings,
}

/// The settings of a webhook to change.
#[derive(Debug, Args)]
pub(crate) struct ChangedFields {
    /// HTTPS URL that receives the events
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    endpoint: Option<String>,
    /// Event types or groups to subscribe to, separated by commas; * for all
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    events: Option<Vec<String>>,
    #[command(flatten)]
    settings: Settings,
}

/// Settings that a webhook need not have.
#[derive(Debug, Args)]
struct Settings {
    /// Description for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Custom header to send with every request; can be repeated. Headers that are not named stay
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = parse_header)]
    headers: Vec<(String, String)>,
    /// Maximum number of concurrent requests
    #[arg(long, value_name = "N")]
    max_concurrency: Option<u16>,
    /// Maximum number of requests per second
    #[arg(long, value_name = "N")]
    rate_per_second: Option<u32>,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl NewWebhook {
    /// Returns the JSON of the webhook.
    pub(super) fn into_body(self) -> Value {
        build_body(Some(self.endpoint), Some(self.events), self.settings)
    }
}

impl ChangedFields {
    /// Returns the JSON members for the settings that are given.
    pub(super) fn into_body(self) -> Value {
        build_body(self.endpoint, self.events, self.settings)
    }
}

fn build_body(endpoint: Option<String>, events: Option<Vec<String>>, settings: Settings) -> Value {
    let mut body = Map::new();
    let mut put =
        |name: &str, value: Option<Value>| value.and_then(|value| body.insert(name.to_owned(), value));
    put("endpoint", endpoint.map(Value::from));
    put("events", events.map(Value::from));
    put("description", settings.description.map(Value::from));
    put("maxConcurrency", settings.max_concurrency.map(Value::from));
    put("ratePerSecond", settings.rate_per_second.map(Value::from));
    let headers: Map<String, Value> =
        settings.headers.into_iter().map(|(name, value)| (name, value.into())).collect();
    put("headers", (!headers.is_empty()).then_some(Value::Object(headers)));
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn header_is_split_at_the_first_equals_sign() {
        assert_eq!(parse_header("x-team=a=b"), Ok(("x-team".to_owned(), "a=b".to_owned())));
        assert_eq!(parse_header("x-team="), Ok(("x-team".to_owned(), String::new())));
        assert_eq!(parse_header("x-team"), Err("write it as name=value".to_owned()));
    }

    #[test]
    fn body_holds_only_the_settings_that_are_given() {
        let fields = ChangedFields {
            endpoint: None,
            events: Some(vec!["A".to_owned(), "B.C".to_owned()]),
            settings: Settings {
                description: None,
                headers: vec![("x-team".to_owned(), "a".to_owned())],
                max_concurrency: Some(3),
                rate_per_second: None,
            },
        };
        let expected = json!({"events": ["A", "B.C"], "headers": {"x-team": "a"}, "maxConcurrency": 3});
        assert_eq!(fields.into_body(), expected);
    }
}
