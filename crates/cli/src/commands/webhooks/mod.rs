//! The webhooks of a brand.

mod health;
mod options;
mod stats;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use self::options::ListOptions;
pub(crate) use self::options::{Command, StatsRange};
use super::listing::print_pages;
use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::table::Column;
use crate::prompt::confirm_deletion;
use crate::session::Session;
use crate::webhook_ref::{WebhookRef, find_webhook, find_webhook_id};

const COLUMNS: [Column; 6] = [
    Column::exact("WEBHOOK", "/id"),
    Column::word("STATUS", "/status"),
    Column::word("HEALTH", "/health/state").optional(),
    Column::text("DESCRIPTION", "/description").optional(),
    Column::text("ENDPOINT", "/endpoint"),
    Column::text("EVENTS", "/events"),
];
const ALL_BRANDS_COLUMNS: [Column; 8] = [
    Column::exact("WEBHOOK", "/id"),
    Column::exact("BRAND", "/brandId"),
    Column::word("STATUS", "/status"),
    Column::word("HEALTH", "/health/state").optional(),
    Column::exact("SINCE", "/health/since").optional(),
    Column::text("DESCRIPTION", "/description").optional(),
    Column::text("ENDPOINT", "/endpoint"),
    Column::text("EVENTS", "/events"),
];

pub(crate) async fn run(session: &Session, command: Command) -> Result<(), Error> {
    match command {
        Command::List(options) => list_webhooks(session, &options).await,
        Command::Create(fields) => {
            let brand = session.resolve_brand().await?;
            let path = ["v1", &brand, "webhooks"];
            print_answer(session, Method::POST, &path, &fields.into_body()).await
        }
        Command::Disable { webhook, detail } => {
            let id = find_webhook_id(session, &webhook.webhook).await?;
            let path = ["admin", "v1", "webhooks", &id, "disable"];
            print_answer(session, Method::POST, &path, &json!({"detail": detail})).await
        }
        Command::Enable { webhook, note, redeliver_held } => {
            let id = find_webhook_id(session, &webhook.webhook).await?;
            let path = ["admin", "v1", "webhooks", &id, "enable"];
            let body = json!({"note": note, "redeliverHeld": redeliver_held});
            print_answer(session, Method::POST, &path, &body).await
        }
        Command::Delete { webhook, yes } => delete_webhook(session, &webhook.webhook, yes).await,
        command => run_for_webhook(session, command).await,
    }
}

/// Runs a command about one webhook of a brand.
async fn run_for_webhook(session: &Session, command: Command) -> Result<(), Error> {
    match command {
        Command::Show(webhook) => {
            let webhook = find_webhook(session, &webhook.webhook).await?;
            print_part(session, &webhook, &[]).await
        }
        Command::Secret(webhook) => {
            let webhook = find_webhook(session, &webhook.webhook).await?;
            print_part(session, &webhook, &["secret"]).await
        }
        Command::Health(webhook) => {
            health::show_health(session, &find_webhook(session, &webhook.webhook).await?).await
        }
        Command::Stats { webhook, range } => {
            let webhook = find_webhook(session, &webhook.webhook).await?;
            stats::show_stats(session, &webhook.path(&["stats"]), range.into_query()).await
        }
        Command::Update { webhook, fields } => {
            change(session, &webhook.webhook, Method::PATCH, &[], &fields.into_body()).await
        }
        Command::Pause(webhook) => {
            change(session, &webhook.webhook, Method::PATCH, &[], &json!({"enabled": false})).await
        }
        Command::Resume(webhook) => {
            change(session, &webhook.webhook, Method::PATCH, &[], &json!({"enabled": true})).await
        }
        Command::Rotate { webhook, overlap_seconds } => {
            let body = json!({"overlapSeconds": overlap_seconds});
            change(session, &webhook.webhook, Method::POST, &["secret", "rotate"], &body).await
        }
        Command::EndPrevious(webhook) => {
            let webhook = find_webhook(session, &webhook.webhook).await?;
            session.client.send_empty(Method::POST, &webhook.path(&["secret", "end-previous"])).await?;
            session.output.print_confirmation(&format!("the previous secret of {} signs no more", webhook.id))
        }
        Command::Test { webhook, event_type } => test_webhook(session, &webhook.webhook, event_type).await,
        // Handled by `run`.
        Command::List(_)
        | Command::Create(_)
        | Command::Disable { .. }
        | Command::Enable { .. }
        | Command::Delete { .. } => Ok(()),
    }
}

/// Prints statistics of all webhooks of a brand.
pub(super) async fn show_brand_stats(session: &Session, range: StatsRange) -> Result<(), Error> {
    let brand = session.resolve_brand().await?;
    stats::show_stats(session, &["v1", &brand, "stats"], range.into_query()).await
}

async fn list_webhooks(session: &Session, options: &ListOptions) -> Result<(), Error> {
    let query = options.to_query();
    if options.all_brands {
        let path = ["admin", "v1", "webhooks"];
        return print_pages(session, &path, query, &options.limit, &ALL_BRANDS_COLUMNS).await;
    }
    let no_brand = || Error::Usage("a support token has no brand: give --brand or --all-brands".to_owned());
    let brand = session.optional_brand().await?.ok_or_else(no_brand)?;
    print_pages(session, &["v1", &brand, "webhooks"], query, &options.limit, &COLUMNS).await
}

async fn print_answer(session: &Session, method: Method, path: &[&str], body: &Value) -> Result<(), Error> {
    session.output.print_resource(&session.client.send_json(method, path, body).await?)
}

async fn print_part(session: &Session, webhook: &WebhookRef, rest: &[&str]) -> Result<(), Error> {
    session.output.print_resource(&session.client.get(&webhook.path(rest), &Query::new()).await?)
}

async fn change(
    session: &Session,
    webhook: &str,
    method: Method,
    rest: &[&str],
    body: &Value,
) -> Result<(), Error> {
    let webhook = find_webhook(session, webhook).await?;
    print_answer(session, method, &webhook.path(rest), body).await
}

#[derive(Debug, Deserialize)]
struct Named {
    endpoint: String,
}

async fn delete_webhook(session: &Session, webhook: &str, yes: bool) -> Result<(), Error> {
    let webhook = find_webhook(session, webhook).await?;
    let path = webhook.path(&[]);
    if !yes {
        let shown = session.client.get(&path, &Query::new()).await?;
        let Named { endpoint } = parse_json(&shown)?;
        let WebhookRef { brand, id } = &webhook;
        let question =
            format!("Delete the webhook {id} of {brand} ({endpoint}) and discard its pending deliveries?");
        confirm_deletion(&question, yes)?;
    }
    session.client.send_empty(Method::DELETE, &path).await?;
    session.output.print_confirmation(&format!("{} is deleted", webhook.id))
}

/// Sends a test event. Support's own route also tests a disabled webhook.
async fn test_webhook(session: &Session, webhook: &str, event_type: Option<String>) -> Result<(), Error> {
    let body = event_type.map_or_else(|| json!({}), |name| json!({"type": name}));
    let webhook = find_webhook(session, webhook).await?;
    let admin = ["admin", "v1", "webhooks", &webhook.id, "test"];
    if session.given_brand().is_none() && session.is_support().await? {
        return print_answer(session, Method::POST, &admin, &body).await;
    }
    let answer = session.client.send_json(Method::POST, &webhook.path(&["test"]), &body).await;
    match answer {
        Err(Error::Refused(refusal))
            if refusal.status == StatusCode::CONFLICT && session.is_support().await? =>
        {
            print_answer(session, Method::POST, &admin, &body).await
        }
        answer => session.output.print_resource(&answer?),
    }
}
