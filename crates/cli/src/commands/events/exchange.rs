//! One attempt as the HTTP request and response that went over the wire.
//!
//! An attempt that a deliverer of another release made has no stored exchange, so that most members are null.

use serde::Deserialize;

use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::screen::{Color, Screen};
use crate::output::words::format_count;
use crate::session::Session;
use crate::terminal::{escape_lines, escape_text};
use crate::webhook_ref::WebhookRef;

/// Shown instead of a fact that the deliverer did not record.
const NOT_RECORDED: &str = "not recorded";
/// Attempts of an event that are looked at for the last one; a delivery's retries are far fewer.
const MAX_ATTEMPTS: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    attempt_id: String,
    started_at: String,
    duration_ms: u64,
    outcome: String,
    error: Option<String>,
    remote_address: Option<String>,
    tls: Option<Tls>,
    location: Option<String>,
    timing: Option<Timing>,
    request: Request,
    response: Option<Response>,
}

#[derive(Debug, Deserialize)]
struct Tls {
    version: Option<String>,
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Timing {
    dns_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    reused_connection: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: Option<String>,
    url_truncated: Option<bool>,
    headers: Option<Vec<(String, String)>>,
    body: Option<String>,
    body_unavailable: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: u16,
    headers: Option<Vec<(String, String)>>,
    body: Option<String>,
    body_truncated: Option<bool>,
    headers_truncated: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    attempt_id: String,
}

/// Prints an attempt; without an id, the last one.
pub(super) async fn show_attempt(
    session: &Session,
    webhook: &WebhookRef,
    event: &str,
    attempt: Option<String>,
) -> Result<(), Error> {
    let attempts = webhook.path(&["events", event, "attempts"]);
    let attempt = match attempt {
        Some(attempt) => attempt,
        None => {
            let all = session.client.list_items(&attempts, Query::new(), MAX_ATTEMPTS).await?;
            let last =
                all.last().ok_or_else(|| Error::Usage("no attempt of this event has ended yet".into()))?;
            parse_json::<Listed>(last.get())?.attempt_id
        }
    };
    let text = session.client.get(&[&attempts[..], &[&attempt]].concat(), &Query::new()).await?;
    if session.output.is_json() {
        return session.output.print_resource(&text);
    }
    session.output.print_lines(&describe(&parse_json(&text)?, session.output.screen))
}

fn describe(exchange: &Exchange, screen: Screen) -> Vec<String> {
    let outcome = escape_text(&exchange.outcome);
    let mut lines = vec![format!(
        "{}  {}  {} ms  {}",
        escape_text(&exchange.attempt_id),
        escape_text(&exchange.started_at),
        format_count(exchange.duration_ms),
        screen.paint(&outcome, Color::of_word(&outcome))
    )];
    let tls = exchange.tls.as_ref();
    let facts = [
        ("error", exchange.error.clone()),
        ("address", exchange.remote_address.clone()),
        ("tls", tls.and_then(|tls| tls.version.clone())),
        ("certificate", tls.and_then(|tls| tls.problem.clone())),
        ("location", exchange.location.clone()),
        ("timing", exchange.timing.as_ref().and_then(describe_timing)),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    lines.extend(facts.map(|(name, value)| format!("{name:<12} {}", escape_text(&value))));
    let Request { method, url, url_truncated, headers, body, body_unavailable } = &exchange.request;
    let url = url.as_deref().unwrap_or("(URL not recorded)");
    lines.push(String::new());
    push_message(&mut lines, '>', &format!("{method} {url}"), headers.as_deref(), body.as_deref());
    if *url_truncated == Some(true) {
        lines.push("  (the rest of the URL was not kept)".to_owned());
    }
    if let Some(reason) = body_unavailable {
        lines.push(format!("  (no body: {})", escape_text(reason)));
    }
    lines.push(String::new());
    match &exchange.response {
        Some(response) => {
            let Response { status, headers, body, .. } = response;
            push_message(&mut lines, '<', &status.to_string(), headers.as_deref(), body.as_deref());
            if response.headers_truncated == Some(true) {
                lines.push("  (further headers were not kept)".to_owned());
            }
            match response.body_truncated {
                Some(true) => lines.push("  (the rest of the body was not kept)".to_owned()),
                None if body.is_some() => {
                    lines.push(format!("  (whether this is the whole body: {NOT_RECORDED})"));
                }
                Some(false) | None => {}
            }
        }
        None => lines.push("< no response".to_owned()),
    }
    lines
}

fn describe_timing(timing: &Timing) -> Option<String> {
    let phases = [
        ("dns", timing.dns_ms),
        ("connect", timing.connect_ms),
        ("tls", timing.tls_ms),
        ("first byte", timing.first_byte_ms),
    ];
    let mut parts: Vec<String> =
        phases.iter().filter_map(|(name, ms)| Some(format!("{name} {} ms", (*ms)?))).collect();
    match timing.reused_connection {
        Some(true) => parts.insert(0, "kept connection".to_owned()),
        None if parts.is_empty() => parts.push(NOT_RECORDED.to_owned()),
        Some(false) | None => {}
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Adds a request or a response in the form of HTTP/1.1. Each line of the body stays a line.
fn push_message(
    lines: &mut Vec<String>,
    mark: char,
    first: &str,
    headers: Option<&[(String, String)]>,
    body: Option<&str>,
) {
    lines.push(format!("{mark} {}", escape_text(first)));
    match headers {
        Some(headers) => lines.extend(
            headers
                .iter()
                .map(|(name, value)| format!("{mark} {}", escape_text(&format!("{name}: {value}")))),
        ),
        None => lines.push(format!("{mark} (headers {NOT_RECORDED})")),
    }
    let Some(body) = body.filter(|body| !body.is_empty()) else { return };
    lines.push(mark.to_string());
    lines.extend(escape_lines(&body.replace("\r\n", "\n")).split('\n').map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchange_is_shown_as_http_with_its_facts() {
        let text = r#"{"attemptId":"A","startedAt":"T","durationMs":1204,"outcome":"http_status","statusCode":502,
            "error":"HTTP 502","responseBody":"no\nway","trigger":"fresh","remoteAddress":"192.0.2.1:443",
            "tls":{"version":"TLSv1.3","problem":null},"location":null,
            "timing":{"dnsMs":null,"connectMs":null,"tlsMs":null,"firstByteMs":1200.5,"reusedConnection":true},
            "request":{"method":"POST","url":"https://example.com/","headers":[["webhook-id","E"],["x-a","\u001b"]],
            "body":"{\"n\":1.10}"},
            "response":{"status":502,"headers":[["server","x"]],"body":"no\nway","bodyTruncated":true,
            "headersTruncated":false}}"#;
        let lines = describe(&parse_json(text).expect("JSON"), Screen::PIPE);
        assert_eq!(
            lines.join("\n"),
            "A  T  1,204 ms  http_status\n\
             error        HTTP 502\n\
             address      192.0.2.1:443\n\
             tls          TLSv1.3\n\
             timing       kept connection, first byte 1200.5 ms\n\
             \n\
             > POST https://example.com/\n\
             > webhook-id: E\n\
             > x-a: \\u001b\n\
             >\n\
             {\"n\":1.10}\n\
             \n\
             < 502\n\
             < server: x\n\
             <\n\
             no\nway\n  (the rest of the body was not kept)"
        );
    }

    /// The form of an attempt that a deliverer of an earlier or later release made.
    #[test]
    fn an_attempt_of_another_release_is_shown_without_its_exchange() {
        let text = r#"{"attemptId":"A","startedAt":"T","durationMs":5,"outcome":"http_status","statusCode":302,
            "error":null,"remoteAddress":null,"tls":null,"location":null,
            "timing":{"dnsMs":null,"connectMs":null,"tlsMs":null,"firstByteMs":null,"reusedConnection":null},
            "request":{"sent":null,"method":"POST","url":null,"headers":null,"body":"{}","bodyUnavailable":null},
            "response":{"status":302,"headers":null,"headersTruncated":null,"body":"oops","bodyTruncated":null}}"#;
        let lines = describe(&parse_json(text).expect("JSON"), Screen::PIPE);
        assert_eq!(
            lines.join("\n"),
            "A  T  5 ms  http_status\n\
             timing       not recorded\n\
             \n\
             > POST (URL not recorded)\n\
             > (headers not recorded)\n\
             >\n\
             {}\n\
             \n\
             < 302\n\
             < (headers not recorded)\n\
             <\n\
             oops\n  (whether this is the whole body: not recorded)"
        );
    }

    #[test]
    fn attempt_without_a_response_says_so() {
        let text = r#"{"attemptId":"A","startedAt":"T","durationMs":5,"outcome":"dns","error":"no such host",
            "request":{"method":"POST","url":"https://example.com/","headers":[],"body":null},"response":null}"#;
        let lines = describe(&parse_json(text).expect("JSON"), Screen::PIPE);
        assert_eq!(lines.last().map(String::as_str), Some("< no response"));
    }
}
