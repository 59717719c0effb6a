//! The failures that count towards disabling a webhook, in words.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::client::{Query, parse_json};
use crate::error::Error;
use crate::output::words::{format_age, format_count, format_duration, format_number_of, format_share};
use crate::session::Session;
use crate::webhook_ref::WebhookRef;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    window_seconds: i64,
    attempts: u64,
    failures: u64,
    first_failure: Option<DateTime<Utc>>,
    last_failure: Option<DateTime<Utc>>,
    failed_in_row: u64,
    rule: Rule,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    min_attempts: u64,
    failure_rate: f64,
    span_seconds: i64,
    failed_deliveries: u64,
}

pub(super) async fn show_health(session: &Session, webhook: &WebhookRef) -> Result<(), Error> {
    let text = session.client.get(&webhook.path(&["health"]), &Query::new()).await?;
    if session.output.is_json() {
        return session.output.print_resource(&text);
    }
    session.output.print_lines(&describe(&parse_json(&text)?, Utc::now()))
}

/// Describes the counts and the rule, one sentence a line.
fn describe(health: &Health, now: DateTime<Utc>) -> Vec<String> {
    let window = format_duration(TimeDelta::seconds(health.window_seconds));
    let attempts = format_number_of(health.attempts, "attempt");
    let mut lines = vec![match (health.failures, health.first_failure, health.last_failure) {
        (0, ..) => format!("{attempts} ended within {window}, and none failed."),
        (failures, Some(first), Some(last)) => format!(
            "{attempts} ended within {window}, and {} ({}) failed: the first {}, the last {}.",
            format_count(failures),
            format_share(failures, health.attempts),
            format_age(first, now),
            format_age(last, now)
        ),
        (failures, ..) => format!("{attempts} ended within {window}, and {} failed.", format_count(failures)),
    }];
    lines.push(match health.failed_in_row {
        0 => "No delivery has failed since the last successful attempt.".to_owned(),
        row => format!("{} failed since the last successful attempt.", format_number_of(row, "delivery")),
    });
    let rule = &health.rule;
    lines.push(format!(
        "The platform disables the webhook when {} % of at least {} failed over at least {}, or when {} in a row failed.",
        (rule.failure_rate * 1000.0).round() / 10.0,
        format_number_of(rule.min_attempts, "attempt"),
        format_duration(TimeDelta::seconds(rule.span_seconds)),
        format_number_of(rule.failed_deliveries, "delivery")
    ));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_rule_are_told_in_sentences() {
        let text = r#"{"windowSeconds":3600,"attempts":1200,"failures":1100,
            "firstFailure":"2026-11-28T12:50:00.000Z","lastFailure":"2026-11-28T13:39:00.000Z","failedInRow":3,
            "rule":{"minAttempts":50,"failureRate":0.9,"spanSeconds":3000,"failedDeliveries":10}}"#;
        let health: Health = parse_json(text).expect("JSON");
        let now = "2026-11-28T13:40:00Z".parse().expect("a time");
        assert_eq!(
            describe(&health, now),
            [
                "1,200 attempts ended within 1 h, and 1,100 (91.6 %) failed: the first 50 min ago, the last 1 min ago.",
                "3 deliveries failed since the last successful attempt.",
                "The platform disables the webhook when 90 % of at least 50 attempts failed over at least 50 min, or \
                 when 10 deliveries in a row failed.",
            ]
        );
    }
}
