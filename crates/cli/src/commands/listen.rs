//! Sends a webhook's events to a developer's machine. They are read with Get Events and signed here with the
//! webhook's own secret, as the platform would sign them: the receiver's code is the same as in production,
//! and the machine needs no address that the internet reaches. The platform's own deliveries go their way.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use clap::Args;
use domain::ids::{AttemptId, WebhookId};
use domain::request::{self, EventHead};
use domain::signature::{Secret, Signer};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::client::{self, Query};
use crate::error::Error;
use crate::event_poller::{Event, EventPoller, POLL_INTERVAL};
use crate::session::Session;

/// Longest wait for the developer's server, as the platform's (contract §3).
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// What the request sees us as, as from the platform.
const USER_AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));
/// Events may bear a time before they were published; so far back they are seen.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(5);

/// Forwards each new event of a webhook, until interrupted
#[derive(Debug, Args)]
pub(crate) struct Command {
    /// Where events are sent to
    #[arg(long, value_name = "URL", value_parser = parse_target_url)]
    forward_to: Url,
    /// The webhook whose events they are. Without it one is made for as long as this runs; the platform's
    /// own attempts to deliver to that one fail, since nobody is there
    #[arg(long)]
    webhook: Option<String>,
    /// What a webhook that is made here subscribes to
    #[arg(long, value_delimiter = ',', default_value = "*", conflicts_with = "webhook")]
    events: Vec<String>,
    /// Forward this event of the webhook once, and end
    #[arg(long, requires = "webhook")]
    event: Option<String>,
}

fn parse_target_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}"))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("it begins with http: or https:".to_owned())
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
    let brand = session.resolve_brand().await?;
    let given = command.webhook.is_some();
    let webhook = match command.webhook {
        Some(webhook) => webhook,
        None => create_webhook(session, &brand, &command.events).await?,
    };
    let listener = Listener {
        session,
        brand: &brand,
        webhook: &webhook,
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
    if !given {
        session.client.send_empty(Method::DELETE, &["v1", &brand, "webhooks", &webhook]).await?;
        eprintln!("postrider: the webhook {webhook} is deleted again");
    }
    ended
}

/// SIGINT or SIGTERM: what was made here is removed.
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
}

/// A webhook to which nothing can be delivered: a name under `.invalid` belongs to nobody (RFC 2606).
async fn create_webhook(session: &Session, brand: &str, events: &[String]) -> Result<String, Error> {
    let endpoint = format!("https://{}.listen.invalid/", Uuid::new_v4());
    let body = json!({"endpoint": endpoint, "events": events, "description": "postrider listen"});
    let created = session.client.send_json(Method::POST, &["v1", brand, "webhooks"], &body).await?;
    let created: CreatedWebhook = client::parse_json(&created)?;
    eprintln!("postrider: made the webhook {} for as long as this runs", created.id);
    Ok(created.id)
}

struct Listener<'a> {
    session: &'a Session,
    brand: &'a str,
    webhook: &'a str,
    http: reqwest::Client,
    to: Url,
}

impl Listener<'_> {
    async fn forward_new(&self) -> Result<(), Error> {
        let mut poller =
            EventPoller::new(&self.session.client, self.brand, self.webhook, Utc::now() - LOOK_BACK);
        // What was there before is not forwarded.
        poller.poll_changes().await?;
        eprintln!("postrider: forwarding new events of {} to {}", self.webhook, self.to);
        loop {
            match poller.poll_changes().await {
                Ok(seen) => {
                    let fresh: Vec<Event> = seen.into_iter().filter(|event| event.is_new).collect();
                    self.forward_all(&fresh).await?;
                }
                Err(error @ Error::Unreachable(_)) => eprintln!("postrider: {error}; trying again"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn forward_one(&self, event: &str) -> Result<(), Error> {
        let path = ["v1", self.brand, "webhooks", self.webhook, "events", event];
        self.forward_all(&[self.session.client.get_json(&path, &Query::new()).await?]).await
    }

    /// Forwards events in their order, with the secret as it is now: it may have been rotated.
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

    async fn forward_event(&self, event: &Event, signer: &Signer) -> Result<(), Error> {
        let (id, now) = (&event.id, Utc::now().timestamp());
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

    /// The body as the platform sends it, with an attempt of its own.
    fn build_body(&self, event: &Event) -> Result<Vec<u8>, Error> {
        let unreadable = |what: &str| Error::Unreadable(what.to_owned());
        let head = EventHead {
            id: event.id.parse().map_err(|_| unreadable("an event's id"))?,
            brand_id: self.brand.parse().map_err(|_| unreadable("the brand's id"))?,
            created: domain::time::parse(&event.created).ok_or_else(|| unreadable("an event's time"))?,
            event_type: event.r#type.parse().map_err(|_| unreadable("an event's type"))?,
        };
        let webhook = self.webhook.parse().map(WebhookId).map_err(|_| unreadable("the webhook's id"))?;
        let attempt = AttemptId::draw(u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0));
        Ok(request::body(&head, webhook, attempt, event.data.get()))
    }
}
