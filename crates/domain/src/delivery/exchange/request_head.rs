//! The headers of a request, without the values that follow from the attempt.

use crate::ids::EventId;
use crate::time::Timestamp;

/// Stands for the value of a custom header.
pub const HIDDEN_VALUE: &str = "(hidden)";

/// A header of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentHeader {
    /// Its name as it was sent.
    pub name: String,
    /// Its value.
    pub value: SentValue,
}

/// The value of a request header, or the rule from which it follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentValue {
    /// A secret of the webhook, which is not stored.
    Hidden,
    /// The id of the event.
    EventId,
    /// Unix seconds of the attempt's start.
    StartSeconds,
    /// Host and port of the URL.
    Authority,
    /// Path and query of the URL.
    PathAndQuery,
    /// A text that is the same in every request ([`FIXED_VALUES`]).
    Fixed(usize),
    /// A number.
    Number(u64),
    /// Any other text.
    Text(String),
}

/// Texts that are stored as their place in this list. Texts may only be added at its end, because rows refer to it.
pub(super) const FIXED_VALUES: [&str; 4] = ["application/json", "*/*", "POST", "https"];

/// The facts of an attempt from which header values follow.
#[derive(Debug, Clone, Copy)]
pub struct HeaderContext<'a> {
    /// The event.
    pub event: EventId,
    /// When the attempt started.
    pub started: Timestamp,
    /// The URL.
    pub url: &'a str,
}

impl SentValue {
    /// Returns the shortest description from which [`Self::resolve`] returns this text.
    #[must_use]
    pub fn describe(text: &str, context: &HeaderContext<'_>) -> Self {
        if let Some(place) = FIXED_VALUES.iter().position(|fixed| *fixed == text) {
            return Self::Fixed(place);
        }
        let by_rule = [Self::EventId, Self::StartSeconds, Self::Authority, Self::PathAndQuery];
        let rule = by_rule.into_iter().find(|rule| rule.resolve(context) == text);
        let number = || text.parse().ok().map(Self::Number).filter(|number| number.resolve(context) == text);
        rule.or_else(number).unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// Returns the value as it was sent, or [`HIDDEN_VALUE`].
    #[must_use]
    pub fn resolve(&self, context: &HeaderContext<'_>) -> String {
        match self {
            Self::Hidden => HIDDEN_VALUE.to_owned(),
            Self::EventId => context.event.to_string(),
            Self::StartSeconds => context.started.timestamp().to_string(),
            Self::Authority => split_url(context.url).0.to_owned(),
            Self::PathAndQuery => {
                let rest = split_url(context.url).1;
                if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
            }
            Self::Fixed(place) => FIXED_VALUES.get(*place).copied().unwrap_or_default().to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Splits a URL without user info into host with port, and path with query.
fn split_url(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(url: &str) -> HeaderContext<'_> {
        HeaderContext {
            event: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("an id"),
            started: crate::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("an instant"),
            url,
        }
    }

    #[test]
    fn a_value_that_follows_from_the_attempt_is_stored_as_its_rule() {
        let context = context("https://hooks.example:8443/a?b=c");
        for (text, expected) in [
            ("01F2SFVYVD0H873S2VRT8VQSPM", SentValue::EventId),
            ("1617910562", SentValue::StartSeconds),
            ("hooks.example:8443", SentValue::Authority),
            ("/a?b=c", SentValue::PathAndQuery),
            ("application/json", SentValue::Fixed(0)),
            ("*/*", SentValue::Fixed(1)),
            ("217", SentValue::Number(217)),
            ("0217", SentValue::Text("0217".to_owned())),
            ("Postrider/1.2.3", SentValue::Text("Postrider/1.2.3".to_owned())),
        ] {
            let value = SentValue::describe(text, &context);
            assert_eq!(value, expected, "{text}");
            assert_eq!(value.resolve(&context), text);
        }
        assert_eq!(SentValue::Hidden.resolve(&context), HIDDEN_VALUE);
    }

    #[test]
    fn the_parts_of_a_url_are_those_that_are_sent() {
        for (url, authority, path) in [
            ("https://example.com/", "example.com", "/"),
            ("https://example.com/a/%2F?b=%zz&c='", "example.com", "/a/%2F?b=%zz&c='"),
            ("https://example.com:8443?x", "example.com:8443", "/?x"),
            ("https://[2606:4700::1111]:444/", "[2606:4700::1111]:444", "/"),
            ("https://example.com", "example.com", "/"),
        ] {
            let context = context(url);
            assert_eq!(SentValue::Authority.resolve(&context), authority, "{url}");
            assert_eq!(SentValue::PathAndQuery.resolve(&context), path, "{url}");
        }
    }
}
