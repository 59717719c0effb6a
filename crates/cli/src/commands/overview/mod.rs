//! The state of the whole platform on one screen.

mod report;
mod view;

use self::report::format_report;
use self::view::{Overview, RejectedSummary};
use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::print_notice;
use crate::session::Session;

/// Shows the overview. Programs get the API's JSON.
pub(crate) async fn show_overview(session: &Session) -> Result<(), Error> {
    let client = &session.client;
    let text = client.get(&["admin", "v1", "overview"], &Query::new()).await?;
    if session.output.is_json() {
        return session.output.print_resource(&text);
    }
    let overview: Overview = parse_json(&text)?;
    let mut rejected = None;
    if overview.rejected > 0 {
        // The rest of the overview is worth showing even if the queue cannot be read.
        match client.get_json(&["admin", "v1", "rejected", "summary"], &Query::new()).await {
            Ok(summary) => rejected = Some(summary),
            Err(error) => print_notice(&format!("the rejected events cannot be counted: {error}")),
        }
    }
    let rejected: Option<RejectedSummary> = rejected;
    session.output.print_lines(&format_report(&overview, rejected.as_ref(), session.output.screen))
}
