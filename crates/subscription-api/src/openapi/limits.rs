//! Compares the page of limits with the constants of the code.

use std::time::Duration;

use domain::limits;

use crate::http::{body, middleware};
use crate::resources::events::publish;
use crate::resources::tokens::{of_brand, of_support};

const PAGE: &str = include_str!("../../docs/limits.md");

/// Returns the value in the row of a limit, without the mark of a default.
fn shown(name: &str) -> &'static str {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {name} |")));
    let row = row.unwrap_or_else(|| panic!("the page has no row {name}"));
    row.split('|').nth(2).expect("a value").trim()
}

/// Writes a number as the page does, with commas between thousands.
fn number(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn at_most(value: usize) -> String {
    format!("at most {}", number(value))
}

#[test]
fn the_page_shows_the_limits_of_the_code() {
    let large = |value: i64| number(usize::try_from(value).expect("positive"));
    let minutes = limits::MAX_CREATED_AHEAD_SECONDS / 60;
    let seconds = |duration: Duration| format!("{} seconds", duration.as_secs());
    for (name, wanted) in [
        ("size of an event message, with all fields", format!("{} KiB", limits::MAX_EVENT_BODY_BYTES / 1024)),
        ("length of an event type", format!("{} characters", limits::MAX_EVENT_TYPE_CHARS)),
        ("segments of an event type", limits::MAX_EVENT_TYPE_SEGMENTS.to_string()),
        ("length of a `message_id`", format!("{} characters", limits::MAX_MESSAGE_ID_CHARS)),
        ("`created` in the future", format!("{minutes} minutes")),
        ("events in one request to publish", number(publish::MAX_EVENTS)),
        ("length of an `Idempotency-Key`", format!("{} characters", publish::MAX_KEY_CHARS)),
        ("response body that is read", format!("{} KiB", limits::MAX_RESPONSE_READ_BYTES / 1024)),
        (
            "response body that is kept with the attempt",
            format!("{} KiB", limits::MAX_RESPONSE_KEPT_BYTES / 1024),
        ),
        ("webhooks of a brand", large(limits::MAX_WEBHOOKS_PER_BRAND)),
        ("length of an endpoint URL", format!("{} characters", number(limits::MAX_ENDPOINT_CHARS))),
        ("types or groups of a webhook", number(limits::MAX_WEBHOOK_EVENTS)),
        ("custom headers of a webhook", number(limits::MAX_CUSTOM_HEADERS)),
        (
            "size of all custom headers of a webhook together",
            format!("{} bytes", number(limits::MAX_CUSTOM_HEADERS_BYTES)),
        ),
        ("length of a description", format!("{} characters", number(limits::MAX_TEXT_CHARS))),
        ("size of a request body", format!("{} MiB", body::MAX_BODY_BYTES / 1024 / 1024)),
        ("time for a request", seconds(middleware::REQUEST_TIMEOUT)),
        ("tokens of a brand", large(of_brand::MAX_TOKENS_PER_BRAND)),
        ("tokens of a brand, up to which it creates some itself", large(of_brand::MAX_OWN_TOKENS)),
        ("named tokens of support", large(of_support::MAX_SUPPORT_TOKENS)),
        ("length of a brand id", format!("{} characters", limits::MAX_BRAND_ID_CHARS)),
    ] {
        assert_eq!(shown(name), wanted, "{name}");
    }
    let page = |limit: u32| usize::try_from(limit).expect("a number");
    for (name, parts) in [
        (
            "requests in flight to an endpoint (`maxConcurrency`)",
            vec![limits::DEFAULT_MAX_CONCURRENCY.to_string(), format!("at most {}", limits::MAX_CONCURRENCY)],
        ),
        (
            "requests a second (`ratePerSecond`)",
            vec![at_most(usize::try_from(limits::MAX_RATE_PER_SECOND).expect("positive"))],
        ),
        (
            "items of a page",
            vec![format!("{} by default", limits::DEFAULT_PAGE_SIZE), at_most(page(limits::MAX_PAGE_SIZE))],
        ),
        (
            "overlap of a rotation",
            vec![
                format!("{} hours by default", limits::DEFAULT_ROTATION_OVERLAP_SECONDS / 3600),
                format!("at most {} days", limits::MAX_ROTATION_OVERLAP_SECONDS / 24 / 3600),
            ],
        ),
    ] {
        for part in parts {
            assert!(shown(name).contains(&part), "{name}: {part}");
        }
    }
}

#[test]
fn the_page_shows_the_defaults_of_the_settings() {
    let command = <crate::Config as clap::CommandFactory>::command();
    for (setting, default, name, wanted) in [
        (
            "POSTRIDER_RETRY_DELAYS",
            "5s,30s,2m,5m,10m,20m,20m",
            "delays between attempts",
            "5 s, 30 s, 2 min, 5 min, 10 min, 20 min, 20 min *",
        ),
        ("POSTRIDER_RETRY_WINDOW", "1h", "time in which attempts start", "1 hour * after the first one"),
        (
            "POSTRIDER_HEALTH_MIN_ATTEMPTS",
            "50",
            "attempts in an hour before a webhook can be `failing`",
            "50 *",
        ),
        (
            "POSTRIDER_HEALTH_FAILED_DELIVERIES",
            "10",
            "failed deliveries in a row from which a webhook is `unresponsive`",
            "10 *",
        ),
        (
            "POSTRIDER_HEALTH_FAILURE_RATE",
            "0.9",
            "share of failed attempts from which a webhook is `failing`",
            "90 % *",
        ),
        ("POSTRIDER_TOKEN_RATE", "100", "requests of a token", "100 a second *, in bursts of up to 200 *"),
        (
            "POSTRIDER_RETENTION",
            "7d",
            "retention: how long an event stays readable, and its `id` or `message_id` published again is still the same event",
            "7 days *",
        ),
    ] {
        let argument = command.get_arguments().find(|it| it.get_env().is_some_and(|env| env == setting));
        let argument = argument.unwrap_or_else(|| panic!("{setting} is a setting of the API"));
        assert_eq!(argument.get_default_values(), [default], "{setting}: the page shows another default");
        assert_eq!(shown(name), wanted, "{name}");
    }
}
