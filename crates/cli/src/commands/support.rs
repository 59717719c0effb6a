//! The overview and the audit log of the whole platform, for support.

use clap::Args;

use crate::client::Query;
use crate::error::Error;
use crate::output::Column;
use crate::session::Session;

const AUDIT_COLUMNS: [Column; 5] =
    [("AT", "/at"), ("BY", "/actor"), ("ACTION", "/action"), ("BRAND", "/brandId"), ("SUBJECT", "/subject")];

/// List changes and who made them, newest first
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Maximum number of results
    #[arg(long, default_value = "100")]
    limit: usize,
}

pub(crate) async fn show_overview(session: &Session) -> Result<(), Error> {
    session.output.print_resource(&session.client.get(&["admin", "v1", "overview"], &Query::new()).await?)
}

pub(crate) async fn list_audit(session: &Session, command: Audit) -> Result<(), Error> {
    let entries = session.client.list_items(&["admin", "v1", "audit"], Query::new(), command.limit).await?;
    session.output.print_list(&entries, &AUDIT_COLUMNS)
}
