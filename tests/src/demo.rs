//! The demo that `deploy/up` shows, with an HTTPS receiver that verifies signatures, and a producer. They
//! share a directory, the state, with `ca.pem`, `cert.pem`, `key.pem`, `secret` (written by the creator of
//! the webhook), `requests.log`, `last-request.txt`, and `received/<event id>.txt` for each verified event.

mod error;
mod json;
pub mod receive;
mod record;
pub mod state;

use std::time::{Duration, Instant};

pub use self::error::DemoError;
use self::state::State;
use crate::event::Event;
use crate::producer::Producer;

/// Interval of the checks for an event.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Publishes one event with a fresh id, persistent, mandatory and confirmed, and returns the id.
///
/// # Errors
/// When `data` is not JSON, or the broker does not confirm.
pub async fn publish_event(
    amqp_url: &str,
    namespace: &str,
    brand: &str,
    event_type: &str,
    data: &str,
) -> Result<String, DemoError> {
    serde_json::from_str::<serde::de::IgnoredAny>(data).map_err(|e| format!("--data is not JSON: {e}"))?;
    let event = Event::new(brand, event_type).data(data);
    Producer::connect(amqp_url, namespace).await?.try_publish(&event).await?;
    Ok(event.id().to_owned())
}

/// Waits until the receiver of this state has verified the event, and returns its request as text.
///
/// # Errors
/// When it has not within `timeout`.
pub async fn wait_until_received(
    state: &State,
    event_id: &str,
    timeout: Duration,
) -> Result<String, DemoError> {
    let began = Instant::now();
    loop {
        if let Some(record) = state.read_received(event_id)? {
            return Ok(record);
        }
        if began.elapsed() > timeout {
            let last = state.last_request().unwrap_or_else(|| "no request came at all".to_owned());
            return Err(format!(
                "event {event_id} was not received within {timeout:?}; the last request:\n{last}"
            )
            .into());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
