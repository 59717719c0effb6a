//! Lists the events of a webhook with their deliveries, or all events of a brand.

use clap::Args;

use crate::client::Query;
use crate::commands::listing::{Limit, add_given, print_pages};
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;
use crate::time_arg::parse_past;
use crate::webhook_ref::find_webhook;

const WEBHOOK_COLUMNS: [Column; 6] = [
    Column::exact("EVENT", "/id"),
    Column::exact("CREATED", "/created"),
    Column::text("TYPE", "/type"),
    Column::word("STATUS", "/delivery/status"),
    Column::exact("ATTEMPTS", "/delivery/attempts"),
    Column::text("LAST ERROR", "/delivery/lastError"),
];
/// The columns of events of a brand, also in search results.
pub(in crate::commands) const BRAND_COLUMNS: [Column; 8] = [
    Column::exact("EVENT", "/id"),
    Column::exact("BRAND", "/brandId").optional(),
    Column::exact("CREATED", "/created"),
    Column::text("TYPE", "/type"),
    Column::text("KEY", "/key").optional(),
    Column::word("DISPOSITION", "/disposition"),
    Column::exact("REASON", "/reason").optional(),
    Column::text("DETAIL", "/detail").optional(),
];

/// The events to list.
#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    /// Webhook whose events are listed: its id, the beginning of its id, or its description
    #[arg(required_unless_present_any = ["all_of_brand", "key", "disposition"])]
    webhook: Option<String>,
    /// All events of the brand, also if no webhook received them
    #[arg(long, conflicts_with = "webhook")]
    all_of_brand: bool,
    /// Only events of the brand with this key, such as an order id
    #[arg(long, conflicts_with = "webhook")]
    key: Option<String>,
    /// Only events of the brand that were routed so
    #[arg(
        long,
        conflicts_with = "webhook",
        value_parser = ["routed", "no_webhook", "not_enabled", "rejected"]
    )]
    disposition: Option<String>,
    /// Only events created at or after this time, such as 1h, yesterday or 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    from: Option<String>,
    /// Only events created before this time
    #[arg(long, value_name = "TIME", value_parser = parse_past)]
    to: Option<String>,
    /// Only events of this type or group
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events with this delivery status
    #[arg(
        long,
        value_parser = ["pending", "delivered", "failed", "held", "discarded"],
        conflicts_with_all = BRAND_FILTERS
    )]
    status: Option<String>,
    /// Only events whose last attempt ended so, such as timeout
    #[arg(
        long,
        value_parser = [
            "delivered", "http_status", "timeout", "dns", "connect", "tls", "blocked", "protocol", "auth",
        ],
        conflicts_with_all = BRAND_FILTERS
    )]
    outcome: Option<String>,
    /// Only events whose last attempt got this HTTP status
    #[arg(long, value_name = "CODE", conflicts_with_all = BRAND_FILTERS)]
    status_code: Option<u16>,
    /// List the oldest events of a webhook first
    #[arg(long, conflicts_with_all = BRAND_FILTERS)]
    oldest: bool,
    /// Accepted for scripts of earlier versions, because the newest events now come first in any case
    #[arg(long, hide = true, conflicts_with = "oldest")]
    newest: bool,
    #[command(flatten)]
    limit: Limit,
}

/// Options that select events of the brand instead of a webhook.
const BRAND_FILTERS: [&str; 3] = ["all_of_brand", "key", "disposition"];

pub(super) async fn list_events(session: &Session, options: ListOptions) -> Result<(), Error> {
    let mut query = Query::new();
    let shared = [("from", options.from), ("to", options.to), ("type", options.event_type)];
    add_given(&mut query, shared);
    let Some(webhook) = options.webhook else {
        let brand = session.resolve_brand().await?;
        add_given(&mut query, [("key", options.key), ("disposition", options.disposition)]);
        let path = ["v1", &brand, "events"];
        return print_pages(session, &path, query, &options.limit, &BRAND_COLUMNS).await;
    };
    let webhook = find_webhook(session, &webhook).await?;
    let order = if options.oldest { "asc" } else { "desc" };
    let own = [
        ("status", options.status),
        ("outcome", options.outcome),
        ("statusCode", options.status_code.map(|code| code.to_string())),
        ("order", Some(order.to_owned())),
    ];
    add_given(&mut query, own);
    print_pages(session, &webhook.path(&["events"]), query, &options.limit, &WEBHOOK_COLUMNS).await
}
