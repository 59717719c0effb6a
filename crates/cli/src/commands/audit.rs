//! The audit log: of one brand, or of the whole platform.

use clap::Args;

use super::listing::{Limit, add_given, print_pages};
use crate::client::Query;
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;
use crate::time_arg::parse_past;

const COLUMNS: [Column; 6] = [
    Column::exact("AT", "/at"),
    Column::text("BY", "/actor"),
    Column::text("ACTION", "/action"),
    Column::word("OUTCOME", "/outcome").optional(),
    Column::exact("BRAND", "/brandId"),
    Column::text("SUBJECT", "/subject"),
];

/// List changes and who made them, newest first; --brand narrows it to a brand
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postrider audit --from 24h
  postrider audit --brand acme --actor platform
  postrider audit --action webhook.enable --from yesterday --all")]
pub(crate) struct Audit {
    /// Only changes by this actor: support, platform, or support: or token: with the id of a token
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, such as webhook.enable
    #[arg(long)]
    action: Option<String>,
    /// Only changes of this webhook, token, brand or event type
    #[arg(long)]
    subject: Option<String>,
    /// Only changes at or after this time, such as 24h, yesterday or 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    from: Option<String>,
    /// Only changes before this time
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    to: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

pub(crate) async fn list_audit(session: &Session, command: Audit) -> Result<(), Error> {
    let mut query = Query::new();
    let given = [
        ("actor", command.actor),
        ("action", command.action),
        ("subject", command.subject),
        ("from", command.from),
        ("to", command.to),
    ];
    add_given(&mut query, given);
    if session.is_support().await? {
        add_given(&mut query, [("brandId", session.given_brand().map(str::to_owned))]);
        return print_pages(session, &["admin", "v1", "audit"], query, &command.limit, &COLUMNS).await;
    }
    let brand = session.resolve_brand().await?;
    print_pages(session, &["v1", &brand, "audit"], query, &command.limit, &COLUMNS).await
}
