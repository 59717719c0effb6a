//! Forwards a webhook's events to a server on a developer's machine.
//!
//! `listen` reads the events through Get Events and signs them with the webhook's own secret, as the
//! platform does. The receiver therefore runs the same code as in production, and the machine needs no
//! public address. The platform's own deliveries continue unchanged.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use clap::{Args, ValueHint};
use domain::delivery::envelope::{self, EventHead};
use domain::ids::{AttemptId, WebhookId};
use domain::webhook::signature::{Secret, Signer};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::client::{self, Query};
use crate::error::Error;
use crate::event_poller::{Event, EventPoller, POLL_INTERVAL};
use crate::output::print_notice;
use crate::session::Session;
use crate::webhook_ref::{WebhookRef, find_webhook};

/// Timeout of a forwarded request, the same as the platform's (contract §3).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// User agent of forwarded requests, the same as the platform's.
const USER_AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));
/// How far back new events are noticed, because producers may set `created` before they publish.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(5);

/// Forward each new event of a webhook to a local server, until interrupted
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postrider listen --forward-to http://localhost:3000/webhooks
  postrider listen --webhook Billing --forward-to http://localhost:3000/webhooks
  postrider listen --webhook Billing --event 01F2SFVYVD0H873S2VRT8VQSPM --forward-to http://localhost:3000/webhooks")]
pub(crate) struct Command {
    /// URL of the server that receives the events
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, value_parser = parse_target_url)]
    forward_to: Url,
    /// Webhook whose events are forwarded: its id, the beginning of its id, or its description. Without this option a
    /// temporary webhook is created and deleted again at the end; the platform's own attempts to deliver to it fail,
    /// because it has no server
    #[arg(long)]
    webhook: Option<String>,
    /// Event types or groups that the temporary webhook subscribes to, separated by commas; * for all
    #[arg(
        long,
        value_name = "TYPES",
        value_delimiter = ',',
        default_value = "*",
        conflicts_with = "webhook"
    )]
    events: Vec<String>,
    /// Id of one event to forward, then exit
    #[arg(long, requires = "webhook")]
    event: Option<String>,
}

fn parse_target_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}"))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("the URL must begin with http: or https:".to_owned())
    }
}

#[derive(Debug, Deserialize)]
struct CreatedWebhook {
    id: String,
}

#[derive(Deserialize)]
struct WebhookSecret {
    secret: String,
}

pub(crate) async fn forward_events(session: &Session, command: Command) -> Result<(), Error> {
    let is_temporary = command.webhook.is_none();
    let webhook = match &command.webhook {
        Some(webhook) => find_webhook(session, webhook).await?,
        None => create_webhook(session, session.resolve_brand().await?, &command.events).await?,
    };
    let listener = Listener {
        session,
        brand: &webhook.brand,
        webhook: &webhook.id,
        http: client::build_http_client()?,
        to: command.forward_to,
    };
    let listening = async {
        match &command.event {
            Some(event) => listener.forward_one(event).await,
            None => listener.forward_new().await,
        }
    };
    let ended = tokio::select! {
        ended = listening => ended,
        () = wait_for_signal() => Ok(()),
    };
    if is_temporary {
        session.client.send_empty(Method::DELETE, &webhook.path(&[])).await?;
        print_notice(&format!("deleted the temporary webhook {}", webhook.id));
    }
    ended
}

/// Waits for SIGINT or SIGTERM, so that the temporary webhook is deleted before the process exits.
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
}

/// Creates a webhook that no server receives: names under `.invalid` never resolve (RFC 2606).
async fn create_webhook(session: &Session, brand: String, events: &[String]) -> Result<WebhookRef, Error> {
    let endpoint = format!("https://{}.listen.invalid/", Uuid::new_v4());
    let body = json!({"endpoint": endpoint, "events": events, "description": "postrider listen"});
    let created = session.client.send_json(Method::POST, &["v1", &brand, "webhooks"], &body).await?;
    let created: CreatedWebhook = client::parse_json(&created)?;
    print_notice(&format!("created the temporary webhook {}", created.id));
    Ok(WebhookRef { brand, id: created.id })
}

/// One webhook and the server that its events are forwarded to.
struct Listener<'a> {
    session: &'a Session,
    brand: &'a str,
    webhook: &'a str,
    http: reqwest::Client,
    to: Url,
}

impl Listener<'_> {
    /// Forwards new events until an error other than an unreachable API ends it.
    async fn forward_new(&self) -> Result<(), Error> {
        let mut poller =
            EventPoller::new(&self.session.client, self.brand, self.webhook, Utc::now() - LOOK_BACK);
        // The first poll only takes note of the events that exist already.
        poller.poll_changes().await?;
        print_notice(&format!("forwarding new events of {} to {}", self.webhook, self.to));
        loop {
            match poller.poll_changes().await {
                Ok(changed) => {
                    let new: Vec<Event> = changed.into_iter().filter(|event| event.is_new).collect();
                    self.forward_all(&new).await?;
                }
                Err(error @ Error::Unreachable(_)) => print_notice(&format!("{error}; retrying")),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Forwards one event.
    async fn forward_one(&self, event: &str) -> Result<(), Error> {
        let path = ["v1", self.brand, "webhooks", self.webhook, "events", event];
        self.forward_all(&[self.session.client.get_json(&path, &Query::new()).await?]).await
    }

    /// Forwards events in order. It reads the secret each time, because it may have been rotated.
    async fn forward_all(&self, events: &[Event]) -> Result<(), Error> {
        if events.is_empty() {
            return Ok(());
        }
        let path = ["v1", self.brand, "webhooks", self.webhook, "secret"];
        let shown: WebhookSecret = self.session.client.get_json(&path, &Query::new()).await?;
        let secret: Secret = shown.secret.parse().map_err(|_| Error::Unreadable("the secret".to_owned()))?;
        let signer = Signer::new(&secret);
        for event in events {
            self.forward_event(event, &signer).await?;
        }
        Ok(())
    }

    /// Signs and sends one event and prints the outcome.
    async fn forward_event(&self, event: &Event, signer: &Signer) -> Result<(), Error> {
        let id = &event.id;
        let now = Utc::now().timestamp();
        let body = self.build_body(event)?;
        let request = self
            .http
            .post(self.to.clone())
            .timeout(REQUEST_TIMEOUT)
            .header("content-type", "application/json")
            .header("user-agent", USER_AGENT)
            .header("webhook-id", id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signer.sign(id, now, &body))
            .body(body);
        let (status, error) = match request.send().await {
            Ok(response) => (Some(response.status().as_u16()), None),
            Err(error) => (None, Some(client::root_cause(&error))),
        };
        let outcome = status.map_or_else(|| error.clone().unwrap_or_default(), |status| status.to_string());
        let json = json!({"id": id, "type": event.r#type, "statusCode": status, "error": error});
        self.session
            .output
            .print_item(&json, &format!("{}  {id}  {}  {outcome}", event.created, event.r#type))
    }

    /// Builds the body as the platform does, with a new attempt id.
    fn build_body(&self, event: &Event) -> Result<Vec<u8>, Error> {
        let unreadable = |what: &str| Error::Unreadable(what.to_owned());
        let head = EventHead {
            id: event.id.parse().map_err(|_| unreadable("an event's id"))?,
            brand_id: self.brand.parse().map_err(|_| unreadable("the brand's id"))?,
            created: domain::time::parse_timestamp(&event.created)
                .ok_or_else(|| unreadable("an event's time"))?,
            event_type: event.r#type.parse().map_err(|_| unreadable("an event's type"))?,
        };
        let webhook = self.webhook.parse().map(WebhookId).map_err(|_| unreadable("the webhook's id"))?;
        let attempt = AttemptId::generate(u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0));
        Ok(envelope::encode_envelope(&head, webhook, attempt, event.data.get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_an_http_url() {
        assert!(parse_target_url("http://localhost:3000/webhooks").is_ok());
        assert!(parse_target_url("https://localhost/").is_ok());
        for text in ["localhost:3000", "ftp://localhost/", "/webhooks", ""] {
            assert!(parse_target_url(text).is_err(), "{text}");
        }
    }
}
