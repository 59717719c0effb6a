//! "Where is my event?" as text: what the router did with it, and a line for each webhook.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::parse_json;
use crate::error::Error;
use crate::output::pretty::spread_json;
use crate::output::screen::{Color, Screen};
use crate::output::table::{Column, Table};
use crate::output::words::{format_age, format_number_of};
use crate::session::Session;
use crate::terminal::{escape_lines, escape_text};

/// Width of the names of the facts.
const NAME_WIDTH: usize = 11;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lookup {
    id: String,
    brand_id: Option<String>,
    r#type: String,
    created: String,
    received: Option<String>,
    key: Option<String>,
    disposition: String,
    reason: Option<String>,
    detail: Option<String>,
    #[serde(default)]
    test: bool,
    #[serde(default)]
    duplicates: u64,
    /// `None` if no data is kept, because no webhook wanted the event.
    data: Option<Box<RawValue>>,
    #[serde(default)]
    webhooks: Vec<WebhookResult>,
    #[serde(default)]
    others: Vec<Other>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookResult {
    webhook_id: String,
    endpoint: String,
    description: Option<String>,
    result: String,
    detail: Option<String>,
    next_attempt_at: Option<String>,
    delivery: Option<Delivery>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    attempts: u64,
}

/// The same id or message id in another brand.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Other {
    brand_id: String,
    id: String,
}

/// Prints an event that was looked up. Programs get the API's JSON.
pub(super) fn print_event(session: &Session, text: &str) -> Result<(), Error> {
    if session.output.is_json() {
        return session.output.print_resource(text);
    }
    let lines = describe(&parse_json(text)?, Utc::now(), session.output.screen);
    session.output.print_lines(&lines)
}

fn describe(event: &Lookup, now: DateTime<Utc>, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>, color: Color| {
        if let Some(value) = value {
            let name = screen.paint(&format!("{name:<NAME_WIDTH$}"), Color::Heading);
            lines.push(format!("{name}{}", screen.paint(&escape_text(&value), color)));
        }
    };
    let test = if event.test { " (test event)" } else { "" };
    add("Event", Some(format!("{}{test}", event.id)), Color::Plain);
    add("Brand", event.brand_id.clone(), Color::Plain);
    add("Type", Some(event.r#type.clone()), Color::Plain);
    add("Key", event.key.clone(), Color::Plain);
    add("Created", Some(with_age(&event.created, now)), Color::Plain);
    add("Received", event.received.as_ref().map(|at| with_age(at, now)), Color::Plain);
    let duplicates = (event.duplicates > 0).then(|| {
        format!("published again {}, which changed nothing", format_number_of(event.duplicates, "time"))
    });
    add("Duplicates", duplicates, Color::Warning);
    add("Routing", Some(describe_routing(event)), Color::of_word(&event.disposition));
    lines.push(String::new());
    lines.extend(webhook_lines(event, now, screen));
    if let Some(data) = event.data.as_ref() {
        lines.push(String::new());
        lines.push(screen.paint("Data", Color::Heading));
        lines.extend(format_data(data, screen));
    }
    if !event.others.is_empty() {
        lines.push(String::new());
        lines.push(screen.paint("Other brands with this id", Color::Heading));
        let mut table = Table::new(&[Column::exact("BRAND", ""), Column::exact("EVENT", "")]);
        event.others.iter().for_each(|other| table.push(vec![other.brand_id.clone(), other.id.clone()]));
        lines.extend(table.format_lines(screen));
    }
    lines
}

/// Tells what the router did with the event.
fn describe_routing(event: &Lookup) -> String {
    let word = event.disposition.replace('_', " ");
    let word = match &event.reason {
        Some(reason) => format!("{word} ({reason})"),
        None => word,
    };
    match &event.detail {
        Some(detail) => format!("{word}: {detail}"),
        None => word,
    }
}

/// Formats an instant of the API with its age.
fn with_age(at: &str, now: DateTime<Utc>) -> String {
    match at.parse::<DateTime<Utc>>() {
        Ok(parsed) => format!("{at} ({})", format_age(parsed, now)),
        Err(_) => at.to_owned(),
    }
}

/// Formats a line for each webhook. On a terminal each detail has a line of its own, because a table would cut it.
fn webhook_lines(event: &Lookup, now: DateTime<Utc>, screen: Screen) -> Vec<String> {
    if event.webhooks.is_empty() {
        return vec!["The brand has no webhook.".to_owned()];
    }
    const COLUMNS: [Column; 6] = [
        Column::exact("WEBHOOK", ""),
        Column::word("RESULT", ""),
        Column::exact("ATTEMPTS", "").optional(),
        Column::exact("NEXT", "").optional(),
        Column::text("DESCRIPTION", "").optional(),
        Column::text("ENDPOINT", ""),
    ];
    let dash = || "-".to_owned();
    let mut table = Table::new(&COLUMNS);
    for webhook in &event.webhooks {
        let next = webhook.next_attempt_at.as_ref().and_then(|at| at.parse().ok());
        table.push(vec![
            webhook.webhook_id.clone(),
            webhook.result.clone(),
            webhook.delivery.as_ref().map_or_else(dash, |delivery| delivery.attempts.to_string()),
            next.map_or_else(dash, |at| format_age(at, now)),
            webhook.description.clone().unwrap_or_else(dash),
            webhook.endpoint.clone(),
        ]);
    }
    let mut rows = table.drop_empty_columns().format_lines(screen).into_iter();
    let mut lines: Vec<String> = rows.next().into_iter().collect();
    for (row, webhook) in rows.zip(&event.webhooks) {
        lines.push(row);
        lines.extend(webhook.detail.as_ref().map(|detail| format!("  {}", escape_text(detail))));
    }
    lines
}

/// Formats the data: spread over lines for a terminal, else byte for byte on one line.
fn format_data(data: &RawValue, screen: Screen) -> Vec<String> {
    if screen.width.is_none() {
        return vec![escape_text(&data.get().replace(['\n', '\r', '\t'], " "))];
    }
    escape_lines(&spread_json(data.get())).lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";

    fn lines(text: &str, screen: Screen) -> String {
        let event: Lookup = parse_json(text).expect("JSON");
        let now = "2026-11-28T13:49:02Z".parse().expect("a time");
        describe(&event, now, screen).join("\n")
    }

    #[test]
    fn each_webhook_has_a_line_with_its_reason() {
        let text = format!(
            r#"{{"id":"{ID}","type":"ORDER.PAID","created":"2026-11-28T13:47:02.000Z",
            "received":"2026-11-28T13:47:02.120Z","key":"order-17","disposition":"routed","detail":null,"test":false,
            "data":{{"n":1.10, "z":12345678901234567890123}},"duplicates":2,"webhooks":[
            {{"webhookId":"w1","endpoint":"https://a.example/","description":"Billing","status":"active",
              "result":"queued","detail":"Queued since 13:47:02 UTC behind 128 other deliveries.","since":"T","ahead":128,
              "nextAttemptAt":null,"delivery":{{"status":"pending","attempts":0}}}},
            {{"webhookId":"w2","endpoint":"https://b.example/","description":null,"status":"active",
              "result":"retrying","detail":null,"nextAttemptAt":"2026-11-28T13:52:02.000Z",
              "delivery":{{"status":"pending","attempts":3}}}},
            {{"webhookId":"w3","endpoint":"https://c.example/","description":null,"status":"paused",
              "result":"not_subscribed","detail":null,"nextAttemptAt":null,"delivery":null}}]}}"#
        );
        assert_eq!(
            lines(&text, Screen::PIPE),
            format!(
                "Event      {ID}\n\
                 Type       ORDER.PAID\n\
                 Key        order-17\n\
                 Created    2026-11-28T13:47:02.000Z (2 min ago)\n\
                 Received   2026-11-28T13:47:02.120Z (1 min 59 s ago)\n\
                 Duplicates published again 2 times, which changed nothing\n\
                 Routing    routed\n\n\
                 WEBHOOK  RESULT          ATTEMPTS  NEXT      DESCRIPTION  ENDPOINT\n\
                 w1       queued          0         -         Billing      https://a.example/\n  \
                 Queued since 13:47:02 UTC behind 128 other deliveries.\n\
                 w2       retrying        3         in 3 min  -            https://b.example/\n\
                 w3       not_subscribed  -         -         -            https://c.example/\n\n\
                 Data\n\
                 {{\"n\":1.10, \"z\":12345678901234567890123}}"
            )
        );
    }

    #[test]
    fn rejected_event_of_one_of_several_brands_tells_its_reason() {
        let text = format!(
            r#"{{"id":"{ID}","brandId":"acme","type":"NO.SUCH","created":"T","received":"T","key":null,
            "disposition":"rejected","reason":"unknown_type","detail":"The catalogue has no such type.","data":null,
            "webhooks":[],"others":[{{"brandId":"nova","id":"E2"}}]}}"#
        );
        let text = lines(&text, Screen::PIPE);
        for wanted in [
            "Brand      acme",
            "Routing    rejected (unknown_type): The catalogue has no such type.",
            "The brand has no webhook.",
            "BRAND  EVENT\nnova   E2",
        ] {
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
        assert!(!text.contains("Data"), "{text}");
    }

    #[test]
    fn terminal_gets_data_spread_over_lines() {
        let text = format!(
            r#"{{"id":"{ID}","type":"A","created":"T","received":"T","key":null,"disposition":"no_webhook",
            "detail":null,"data":{{"n":1.10}}}}"#
        );
        let text = lines(&text, Screen { width: Some(80), color: true });
        assert!(text.ends_with("{\n  \"n\": 1.10\n}"), "{text}");
        assert!(text.contains("\u{1b}[33mno webhook\u{1b}[0m"), "{text}");
    }
}
