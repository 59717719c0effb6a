//! Follows a webhook's deliveries and prints a line for each change.

use chrono::{TimeDelta, Utc};
use clap::Args;
use serde_json::json;

use crate::error::Error;
use crate::event_poller::{Event, EventPoller, POLL_INTERVAL};
use crate::output::print_notice;
use crate::session::Session;
use crate::webhook_ref::find_webhook;

/// How far back changes are noticed. A delivery may be retried for an hour, so this is longer.
const LOOK_BACK: TimeDelta = TimeDelta::minutes(70);

/// Print a line for each new event and each change of its delivery, until interrupted
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postrider tail Billing
  postrider tail 9e21c694 --once -n 50")]
pub(crate) struct Command {
    /// Webhook: its id, the beginning of its id, or its description
    webhook: String,
    /// Number of recent events to print first
    #[arg(long, short = 'n', value_name = "N", default_value = "10")]
    lines: usize,
    /// Print the recent events and exit
    #[arg(long)]
    once: bool,
}

pub(crate) async fn follow_deliveries(session: &Session, command: Command) -> Result<(), Error> {
    let webhook = find_webhook(session, &command.webhook).await?;
    let mut poller = EventPoller::new(&session.client, &webhook.brand, &webhook.id, Utc::now() - LOOK_BACK);
    let first = poller.poll_changes().await?;
    print_changes(session, &first[first.len().saturating_sub(command.lines)..])?;
    if command.once {
        return Ok(());
    }
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        match poller.poll_changes().await {
            Ok(changed) => print_changes(session, &changed)?,
            // Once the API answers again, the next poll returns the changes of the meantime.
            Err(error @ Error::Unreachable(_)) => print_notice(&format!("{error}; retrying")),
            Err(error) => return Err(error),
        }
    }
}

fn print_changes(session: &Session, events: &[Event]) -> Result<(), Error> {
    events.iter().try_for_each(|event| {
        let Event { id, created, r#type, delivery, .. } = event;
        let json = json!({
            "id": id,
            "created": created,
            "type": r#type,
            "status": delivery.status,
            "attempts": delivery.attempts,
            "nextAttemptAt": delivery.next_attempt_at,
            "lastError": delivery.last_error,
        });
        session.output.print_item(&json, &format_change(event))
    })
}

/// Formats an event and its delivery on one line.
fn format_change(event: &Event) -> String {
    let Event { id, created, r#type, delivery, .. } = event;
    let detail = match (&delivery.last_error, &delivery.next_attempt_at) {
        (Some(error), Some(next)) => format!("  {error}; next attempt {next}"),
        (Some(error), None) => format!("  {error}"),
        _ => String::new(),
    };
    format!("{created}  {id}  {}  {}  {}{detail}", r#type, delivery.status, delivery.attempts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_delivery(delivery: &str) -> String {
        let event = format!(r#"{{"id":"E","created":"T","type":"A.B","data":null,"delivery":{delivery}}}"#);
        format_change(&serde_json::from_str(&event).expect("an event"))
    }

    #[test]
    fn line_tells_the_last_error_and_the_next_attempt() {
        let delivered = r#"{"status":"delivered","attempts":1,"nextAttemptAt":null,"lastError":null}"#;
        assert_eq!(format_delivery(delivered), "T  E  A.B  delivered  1");
        let retried = r#"{"status":"pending","attempts":2,"nextAttemptAt":"N","lastError":"timeout"}"#;
        assert_eq!(format_delivery(retried), "T  E  A.B  pending  2  timeout; next attempt N");
        let failed = r#"{"status":"failed","attempts":8,"nextAttemptAt":null,"lastError":"timeout"}"#;
        assert_eq!(format_delivery(failed), "T  E  A.B  failed  8  timeout");
    }
}
