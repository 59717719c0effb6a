//! Finds an event and tells where it is, or whatever else a text names.

mod report;

use clap::Args;
use domain::ids::EventId;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::events::BRAND_COLUMNS;
use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::screen::Color;
use crate::output::table::{Column, Table};
use crate::session::Session;

const FOUND_BRANDS: [Column; 2] = [Column::exact("BRAND", "/brandId"), Column::text("NAME", "/name")];
const FOUND_WEBHOOKS: [Column; 5] = [
    Column::exact("WEBHOOK", "/id"),
    Column::exact("BRAND", "/brandId"),
    Column::word("STATUS", "/status"),
    Column::text("DESCRIPTION", "/description").optional(),
    Column::text("ENDPOINT", "/endpoint"),
];
const FOUND_TYPES: [Column; 2] =
    [Column::exact("EVENT TYPE", "/type"), Column::text("DESCRIPTION", "/description")];

/// Find an event by its id, message id or key, and show where it is; or search for any other text
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  postrider find 01F2SFVYVD0H873S2VRT8VQSPM     # where is my event?
  postrider find order-4711                     # by key or message id
  postrider find example.com                    # webhooks of this host
  postrider find acme --output json")]
pub(crate) struct Command {
    /// Id, message id or key of an event; id, host or description of a webhook; brand; event type
    text: String,
}

/// The results of a search.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(default)]
    brands: Vec<Box<RawValue>>,
    #[serde(default)]
    webhooks: Vec<Box<RawValue>>,
    #[serde(default)]
    event_types: Vec<Box<RawValue>>,
    #[serde(default)]
    events: Vec<Box<RawValue>>,
}

impl Found {
    /// Returns the only result, if that is an event.
    fn only_event(&self) -> Option<&RawValue> {
        match (&self.brands[..], &self.webhooks[..], &self.event_types[..], &self.events[..]) {
            ([], [], [], [event]) => Some(&**event),
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        [&self.brands, &self.webhooks, &self.event_types, &self.events].iter().all(|list| list.is_empty())
    }
}

/// An event of a search result.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundEvent {
    id: String,
    brand_id: Option<String>,
}

pub(crate) async fn find(session: &Session, command: Command) -> Result<(), Error> {
    let text = command.text.trim();
    if text.is_empty() {
        return Err(Error::Usage("give an id, a key or another text".to_owned()));
    }
    // Without a brand, support's token searches all brands.
    let brand = session.optional_brand().await?;
    let brand = brand.as_deref();
    if let Some(event) = look_up(session, brand, text).await? {
        return report::print_event(session, &event);
    }
    let query = vec![("q", text.to_owned())];
    let answer = match brand {
        Some(brand) => session.client.get(&["v1", brand, "search"], &query).await?,
        None => session.client.get(&["admin", "v1", "search"], &query).await?,
    };
    let found: Found = parse_json(&answer)?;
    if let Some(event) = found.only_event() {
        let FoundEvent { id, brand_id } = parse_json(event.get())?;
        let brand = brand_id.as_deref().or(brand);
        if let Some(event) = look_up(session, brand, &id).await? {
            return report::print_event(session, &event);
        }
    }
    if session.output.is_json() {
        return session.output.print_resource(&answer);
    }
    if found.is_empty() {
        return Err(Error::Usage(format!(
            "nothing matches {text}; events are kept for the retention period"
        )));
    }
    print_found(session, &found)
}

/// Looks an event up by its id, or, across brands, also by its message id.
async fn look_up(session: &Session, brand: Option<&str>, text: &str) -> Result<Option<String>, Error> {
    let path = match brand {
        // A brand's route takes ids only, so other texts are searched for.
        Some(_) if text.parse::<EventId>().is_err() => return Ok(None),
        Some(brand) => ["v1", brand, "events", text],
        None => ["admin", "v1", "events", text],
    };
    match session.client.get_found(&path, &Query::new()).await {
        // The text cannot be a message id, for example because it is too long.
        Err(Error::Refused(refusal))
            if matches!(refusal.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) =>
        {
            Ok(None)
        }
        answer => answer,
    }
}

/// A heading, the results of a kind, and the columns of their table.
type Group<'a> = (&'a str, &'a [Box<RawValue>], &'a [Column]);

/// Prints the results of each kind.
fn print_found(session: &Session, found: &Found) -> Result<(), Error> {
    let screen = session.output.screen;
    let groups: [Group<'_>; 4] = [
        ("Brands", &found.brands, &FOUND_BRANDS),
        ("Webhooks", &found.webhooks, &FOUND_WEBHOOKS),
        ("Event types", &found.event_types, &FOUND_TYPES),
        ("Events", &found.events, &BRAND_COLUMNS),
    ];
    let mut lines = Vec::new();
    for (title, items, columns) in groups.into_iter().filter(|(_, items, _)| !items.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(screen.paint(title, Color::Heading));
        lines.extend(Table::from_items(items, columns).drop_empty_columns().format_lines(screen));
    }
    if !found.events.is_empty() {
        lines.push(String::new());
        lines.push("Where is one of these events: postrider find EVENT".to_owned());
    }
    session.output.print_lines(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_event_that_is_alone_is_shown_at_once() {
        let found = |text: &str| parse_json::<Found>(text).expect("JSON");
        assert!(found(r#"{"events":[{"id":"E"}]}"#).only_event().is_some());
        assert!(found(r#"{"events":[{"id":"E"},{"id":"F"}]}"#).only_event().is_none());
        assert!(found(r#"{"events":[{"id":"E"}],"webhooks":[{"id":"W"}]}"#).only_event().is_none());
        assert!(found("{}").is_empty() && found("{}").only_event().is_none());
    }
}
