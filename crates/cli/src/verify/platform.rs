//! Facts from the platform: the secrets of a webhook, and the body of an event as it was sent.

use domain::delivery::envelope::{self, EventHead};
use domain::ids::{AttemptId, WebhookId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::diagnose::NamedSecret;
use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::session::Session;
use crate::webhook_ref::WebhookRef;

/// Attempts whose bodies are compared; a delivery's retries are far fewer.
const MAX_ATTEMPTS: usize = 1000;

#[derive(Deserialize)]
struct SecretView {
    secret: String,
}

#[derive(Debug, Deserialize)]
struct EventView {
    id: String,
    created: String,
    r#type: String,
    data: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    attempt_id: String,
}

/// Reads the current secret of a webhook.
pub(super) async fn read_secret(session: &Session, webhook: &WebhookRef) -> Result<NamedSecret, Error> {
    let view: SecretView = session.client.get_json(&webhook.path(&["secret"]), &Query::new()).await?;
    let secret = view.secret.parse().map_err(|_| Error::Unreadable("the secret".to_owned()))?;
    Ok(NamedSecret { name: format!("the current secret of {}", webhook.id), secret })
}

/// Builds the bodies that the platform sent for an event, one for each attempt. There are none for an unknown event.
pub(super) async fn rebuild_bodies(
    session: &Session,
    webhook: &WebhookRef,
    event: &str,
    attempt: Option<&str>,
) -> Result<Vec<Vec<u8>>, Error> {
    let path = webhook.path(&["events", event]);
    let Some(text) = session.client.get_found(&path, &Query::new()).await? else { return Ok(Vec::new()) };
    let view: EventView = parse_json(&text)?;
    let attempts = webhook.path(&["events", event, "attempts"]);
    let listed = session.client.list_items(&attempts, Query::new(), MAX_ATTEMPTS).await?;
    let listed: Result<Vec<AttemptView>, Error> = listed.iter().map(|item| parse_json(item.get())).collect();
    let mut ids: Vec<String> = listed?.into_iter().map(|attempt| attempt.attempt_id).collect();
    // An attempt that has not ended is not listed.
    ids.extend(attempt.map(str::to_owned));
    let unreadable = |part: &str| Error::Unreadable(part.to_owned());
    let head = EventHead {
        id: view.id.parse().map_err(|_| unreadable("an event's id"))?,
        brand_id: webhook.brand.parse().map_err(|_| unreadable("the brand's id"))?,
        created: domain::time::parse_timestamp(&view.created).ok_or_else(|| unreadable("an event's time"))?,
        event_type: view.r#type.parse().map_err(|_| unreadable("an event's type"))?,
    };
    let webhook = webhook.id.parse().map(WebhookId).map_err(|_| unreadable("the webhook's id"))?;
    let ids = ids.iter().filter_map(|id| id.parse::<AttemptId>().ok());
    Ok(ids.map(|id| envelope::encode_envelope(&head, webhook, id, view.data.get())).collect())
}
