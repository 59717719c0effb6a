//! A producer's trace, handed through to the endpoint as W3C Trace Context has it (`traceparent`).

use std::fmt;
use std::str::FromStr;

/// The header, in AMQP and in HTTP.
pub const TRACEPARENT: &str = "traceparent";
/// Version, trace, span and flags, in hexadecimal digits.
const PARTS: [usize; 4] = [2, 32, 16, 2];

/// A `traceparent` of version 00: fixed length, no character to escape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(Box<str>);

/// It is no `traceparent`, and is left out: a trace is no reason to refuse an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no traceparent of version 00")]
pub struct NoTrace;

impl FromStr for TraceParent {
    type Err = NoTrace;

    fn from_str(text: &str) -> Result<Self, NoTrace> {
        let parts: Vec<&str> = text.split('-').collect();
        let hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let named = |part: &str| part.bytes().any(|b| b != b'0');
        let whole = parts.len() == PARTS.len()
            && parts.iter().zip(PARTS).all(|(part, length)| part.len() == length && hex(part));
        if whole && parts[0] == "00" && named(parts[1]) && named(parts[2]) {
            Ok(Self(text.into()))
        } else {
            Err(NoTrace)
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_recommendation_allows() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(good.parse::<TraceParent>().map(|trace| trace.to_string()), Ok(good.to_owned()));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0\n",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(NoTrace), "{bad:?}");
        }
    }
}
