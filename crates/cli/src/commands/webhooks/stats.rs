//! Attempts over time.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::table::Column;
use crate::session::Session;

const COLUMNS: [Column; 7] = [
    Column::exact("FROM", "/at"),
    Column::exact("ATTEMPTS", "/attempts"),
    Column::exact("SUCCEEDED", "/outcomes/delivered"),
    Column::exact("EVENTS DELIVERED", "/events/delivered").optional(),
    Column::exact("EVENTS FAILED", "/events/failed").optional(),
    Column::exact("P50 MS", "/latencyMs/p50"),
    Column::exact("P99 MS", "/latencyMs/p99"),
];

#[derive(Debug, Deserialize)]
struct Stats {
    items: Vec<Box<RawValue>>,
}

/// Prints a row for each step. Programs get the API's JSON.
pub(super) async fn show_stats(session: &Session, path: &[&str], query: Query<'_>) -> Result<(), Error> {
    let text = session.client.get(path, &query).await?;
    if session.output.is_json() {
        return session.output.print_resource(&text);
    }
    let stats: Stats = parse_json(&text)?;
    session.output.print_list(&stats.items, &COLUMNS)
}
