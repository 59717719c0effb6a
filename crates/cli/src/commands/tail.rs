//! Follows a webhook's deliveries: a line for each change.

use chrono::{TimeDelta, Utc};
use clap::Args;
use serde_json::json;

use crate::error::Error;
use crate::event_poller::{Event, EventPoller, POLL_INTERVAL};
use crate::session::Session;

/// How far back changes are seen: a delivery may be retried for an hour.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(70);

/// A line for each event that comes and for each change of its delivery, until interrupted
#[derive(Debug, Args)]
pub(crate) struct Command {
    webhook: String,
    /// How many of the latest events are shown first
    #[arg(long, short = 'n', default_value = "10")]
    lines: usize,
    /// Show these and end
    #[arg(long)]
    once: bool,
}

pub(crate) async fn follow_deliveries(session: &Session, command: Command) -> Result<(), Error> {
    let brand = session.resolve_brand().await?;
    let mut poller = EventPoller::new(&session.client, &brand, &command.webhook, Utc::now() - LOOK_BACK);
    let first = poller.poll_changes().await?;
    print_changes(session, &first[first.len().saturating_sub(command.lines)..])?;
    if command.once {
        return Ok(());
    }
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        match poller.poll_changes().await {
            Ok(changed) => print_changes(session, &changed)?,
            // It comes back, and what happened meanwhile is there to be read.
            Err(error @ Error::Unreachable(_)) => eprintln!("postrider: {error}; trying again"),
            Err(error) => return Err(error),
        }
    }
}

fn print_changes(session: &Session, events: &[Event]) -> Result<(), Error> {
    events.iter().try_for_each(|event| {
        let Event { id, created, r#type, delivery, .. } = event;
        let json = json!({
            "id": id, "created": created, "type": r#type, "status": delivery.status, "attempts": delivery.attempts,
            "nextAttemptAt": delivery.next_attempt_at, "lastError": delivery.last_error,
        });
        let why = match (&delivery.last_error, &delivery.next_attempt_at) {
            (Some(error), Some(next)) => format!("  {error}; next attempt {next}"),
            (Some(error), None) => format!("  {error}"),
            _ => String::new(),
        };
        let words = format!("{created}  {id}  {}  {}  {}{why}", r#type, delivery.status, delivery.attempts);
        session.output.print_item(&json, &words)
    })
}
