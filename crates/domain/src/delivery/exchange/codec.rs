//! The stored form of an exchange: one version byte, then the fields in a fixed order.
//!
//! Numbers have seven bits a byte, the lowest first. Texts have their length before them. An optional value is stored as
//! its number plus one, or zero. A reader that does not know the version, or finds anything that does not fit, returns no
//! exchange, because a newer deliverer may have written the row.

use super::request_head::FIXED_VALUES;
use super::{
    Exchange, MAX_LOCATION_BYTES, MAX_PROBLEM_BYTES, MAX_REMOTE_BYTES, MAX_URL_BYTES, ResponseHeaders,
    SentHeader, SentValue, Timing, TlsVersion,
};
use crate::limits::MAX_RESPONSE_HEADERS_KEPT_BYTES;

/// The version of the form.
const VERSION: u8 = 1;
/// Names that are stored as their place in this list plus one. Names may only be added at its end.
const KNOWN_NAMES: [&str; 13] = [
    "content-type",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "traceparent",
    "accept",
    "user-agent",
    "host",
    "content-length",
    ":method",
    ":scheme",
    ":authority",
    ":path",
];

const IS_SENT: u64 = 1;
const IS_HTTP2: u64 = 1 << 1;
const IS_REUSED: u64 = 1 << 2;
const HAS_RESPONSE: u64 = 1 << 3;
const ARE_HEADERS_CUT: u64 = 1 << 4;
const IS_BODY_CUT: u64 = 1 << 5;
const IS_TLS12: u64 = 1 << 6;
const IS_TLS13: u64 = 1 << 7;
/// Earlier releases ignore it.
const IS_URL_CUT: u64 = 1 << 8;

const HIDDEN: u8 = 0;
const EVENT_ID: u8 = 1;
const START_SECONDS: u8 = 2;
const AUTHORITY: u8 = 3;
const PATH_AND_QUERY: u8 = 4;
const FIXED: u8 = 5;
const NUMBER: u8 = 6;
const TEXT: u8 = 7;

/// The stored bytes are no exchange that this release knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored exchange is of an unknown form")]
pub struct UnknownExchange;

impl Exchange {
    /// Encodes the exchange in at most [`super::MAX_EXCHANGE_BYTES`], if URL and custom headers are within their limits.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.push(VERSION);
        put_number(&mut out, self.flags());
        for phase in self.timing.phases() {
            put_optional(&mut out, phase);
        }
        put_text(&mut out, &self.url, MAX_URL_BYTES);
        put_optional_text(&mut out, self.remote_address.as_deref(), MAX_REMOTE_BYTES);
        put_optional_text(&mut out, self.tls_problem.as_deref(), MAX_PROBLEM_BYTES);
        put_number(&mut out, self.headers.len() as u64);
        for header in &self.headers {
            put_header(&mut out, header);
        }
        if let Some(response) = &self.response {
            put_bytes(&mut out, &response.block[..response.block.len().min(MAX_RESPONSE_HEADERS_KEPT_BYTES)]);
            put_optional_text(&mut out, response.location.as_deref(), MAX_LOCATION_BYTES);
        }
        out
    }

    /// Decodes what [`Self::encode`] returned.
    ///
    /// # Errors
    /// When the bytes have another form.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnknownExchange> {
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return Err(UnknownExchange) };
        let read = &mut rest;
        let flags = take_number(read)?;
        let mut phases = [None; 4];
        for phase in &mut phases {
            *phase = take_optional(read)?;
        }
        let [dns_ms, connect_ms, tls_ms, first_byte_ms] = phases;
        let url = take_text(read)?;
        let remote_address = take_optional_text(read)?;
        let tls_problem = take_optional_text(read)?;
        let number = take_number(read)?;
        let headers = (0..number).map(|_| take_header(read)).collect::<Result<_, _>>()?;
        let response = (flags & HAS_RESPONSE != 0).then(|| take_response(read, flags)).transpose()?;
        if !read.is_empty() {
            return Err(UnknownExchange);
        }
        Ok(Self {
            is_sent: flags & IS_SENT != 0,
            is_http2: flags & IS_HTTP2 != 0,
            url,
            is_url_cut: flags & IS_URL_CUT != 0,
            headers,
            response,
            is_body_cut: flags & IS_BODY_CUT != 0,
            timing: Timing { dns_ms, connect_ms, tls_ms, first_byte_ms },
            is_reused: flags & IS_REUSED != 0,
            remote_address,
            tls_version: tls_version(flags),
            tls_problem,
        })
    }

    fn flags(&self) -> u64 {
        let response = self.response.as_ref();
        [
            (IS_SENT, self.is_sent),
            (IS_HTTP2, self.is_http2),
            (IS_REUSED, self.is_reused),
            (HAS_RESPONSE, response.is_some()),
            (ARE_HEADERS_CUT, response.is_some_and(|response| response.is_cut)),
            (IS_BODY_CUT, self.is_body_cut),
            (IS_TLS12, self.tls_version == Some(TlsVersion::Tls12)),
            (IS_TLS13, self.tls_version == Some(TlsVersion::Tls13)),
            (IS_URL_CUT, self.is_url_cut || self.url.len() > MAX_URL_BYTES),
        ]
        .into_iter()
        .map(|(flag, is_set)| if is_set { flag } else { 0 })
        .sum()
    }
}

impl Timing {
    fn phases(self) -> [Option<u32>; 4] {
        [self.dns_ms, self.connect_ms, self.tls_ms, self.first_byte_ms]
    }
}

fn tls_version(flags: u64) -> Option<TlsVersion> {
    match flags & (IS_TLS12 | IS_TLS13) {
        IS_TLS12 => Some(TlsVersion::Tls12),
        IS_TLS13 => Some(TlsVersion::Tls13),
        _ => None,
    }
}

fn put_header(out: &mut Vec<u8>, header: &SentHeader) {
    match KNOWN_NAMES.iter().position(|known| *known == header.name) {
        Some(place) => put_number(out, place as u64 + 1),
        None => {
            put_number(out, 0);
            put_bytes(out, header.name.as_bytes());
        }
    }
    match &header.value {
        SentValue::Hidden => out.push(HIDDEN),
        SentValue::EventId => out.push(EVENT_ID),
        SentValue::StartSeconds => out.push(START_SECONDS),
        SentValue::Authority => out.push(AUTHORITY),
        SentValue::PathAndQuery => out.push(PATH_AND_QUERY),
        SentValue::Fixed(place) => {
            out.push(FIXED);
            put_number(out, *place as u64);
        }
        SentValue::Number(number) => {
            out.push(NUMBER);
            put_number(out, *number);
        }
        SentValue::Text(text) => {
            out.push(TEXT);
            put_bytes(out, text.as_bytes());
        }
    }
}

fn take_header(read: &mut &[u8]) -> Result<SentHeader, UnknownExchange> {
    let name = match take_number(read)? {
        0 => take_text(read)?,
        place => {
            let known = usize::try_from(place - 1).ok().and_then(|place| KNOWN_NAMES.get(place));
            (*known.ok_or(UnknownExchange)?).to_owned()
        }
    };
    let value = match take_byte(read)? {
        HIDDEN => SentValue::Hidden,
        EVENT_ID => SentValue::EventId,
        START_SECONDS => SentValue::StartSeconds,
        AUTHORITY => SentValue::Authority,
        PATH_AND_QUERY => SentValue::PathAndQuery,
        FIXED => {
            let place = usize::try_from(take_number(read)?).map_err(|_| UnknownExchange)?;
            FIXED_VALUES.get(place).map(|_| SentValue::Fixed(place)).ok_or(UnknownExchange)?
        }
        NUMBER => SentValue::Number(take_number(read)?),
        TEXT => SentValue::Text(take_text(read)?),
        _ => return Err(UnknownExchange),
    };
    Ok(SentHeader { name, value })
}

fn take_response(read: &mut &[u8], flags: u64) -> Result<ResponseHeaders, UnknownExchange> {
    let block = take_bytes(read)?.to_vec();
    let location = take_optional_text(read)?;
    Ok(ResponseHeaders { block, is_cut: flags & ARE_HEADERS_CUT != 0, location })
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    (number & 0x7f).to_le_bytes()[0]
}

fn take_number(read: &mut &[u8]) -> Result<u64, UnknownExchange> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take_byte(read)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(UnknownExchange)
}

fn put_optional(out: &mut Vec<u8>, number: Option<u32>) {
    put_number(out, number.map_or(0, |number| u64::from(number) + 1));
}

fn take_optional(read: &mut &[u8]) -> Result<Option<u32>, UnknownExchange> {
    match take_number(read)? {
        0 => Ok(None),
        number => u32::try_from(number - 1).map(Some).map_err(|_| UnknownExchange),
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes the beginning of a text.
fn put_text(out: &mut Vec<u8>, text: &str, max_bytes: usize) {
    put_bytes(out, &text.as_bytes()[..text.floor_char_boundary(max_bytes)]);
}

fn put_optional_text(out: &mut Vec<u8>, text: Option<&str>, max_bytes: usize) {
    out.push(u8::from(text.is_some()));
    if let Some(text) = text {
        put_text(out, text, max_bytes);
    }
}

fn take_optional_text(read: &mut &[u8]) -> Result<Option<String>, UnknownExchange> {
    match take_byte(read)? {
        0 => Ok(None),
        1 => take_text(read).map(Some),
        _ => Err(UnknownExchange),
    }
}

fn take_text(read: &mut &[u8]) -> Result<String, UnknownExchange> {
    String::from_utf8(take_bytes(read)?.to_vec()).map_err(|_| UnknownExchange)
}

fn take_bytes<'a>(read: &mut &'a [u8]) -> Result<&'a [u8], UnknownExchange> {
    let length = usize::try_from(take_number(read)?).map_err(|_| UnknownExchange)?;
    let (taken, rest) = read.split_at_checked(length).ok_or(UnknownExchange)?;
    *read = rest;
    Ok(taken)
}

fn take_byte(read: &mut &[u8]) -> Result<u8, UnknownExchange> {
    let (first, rest) = read.split_first().ok_or(UnknownExchange)?;
    *read = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::delivery::exchange::MAX_EXCHANGE_BYTES;
    use crate::limits::MAX_CUSTOM_HEADERS_BYTES;

    fn any_value() -> impl Strategy<Value = SentValue> {
        prop_oneof![
            Just(SentValue::Hidden),
            Just(SentValue::EventId),
            Just(SentValue::StartSeconds),
            Just(SentValue::Authority),
            Just(SentValue::PathAndQuery),
            (0..FIXED_VALUES.len()).prop_map(SentValue::Fixed),
            any::<u64>().prop_map(SentValue::Number),
            ".{0,20}".prop_map(SentValue::Text),
        ]
    }

    fn any_header() -> impl Strategy<Value = SentHeader> {
        let name = prop_oneof![proptest::sample::select(&KNOWN_NAMES[..]).prop_map(str::to_owned), ".{0,9}"];
        (name, any_value()).prop_map(|(name, value)| SentHeader { name, value })
    }

    fn any_response() -> impl Strategy<Value = Option<ResponseHeaders>> {
        let response = (any::<Vec<u8>>(), any::<bool>(), proptest::option::of(".{0,20}"));
        proptest::option::of(response.prop_map(|(block, is_cut, location)| ResponseHeaders {
            block,
            is_cut,
            location,
        }))
    }

    prop_compose! {
        fn any_exchange()(
            flags: [bool; 5],
            phases: [Option<u32>; 4],
            url in ".{0,40}",
            headers in proptest::collection::vec(any_header(), 0..9),
            response in any_response(),
            remote_address in proptest::option::of(".{0,20}"),
            tls_version in proptest::option::of(proptest::sample::select(vec![TlsVersion::Tls12, TlsVersion::Tls13])),
            tls_problem in proptest::option::of(".{0,20}"),
        ) -> Exchange {
            let [is_sent, is_http2, is_reused, is_body_cut, is_url_cut] = flags;
            let [dns_ms, connect_ms, tls_ms, first_byte_ms] = phases;
            let timing = Timing { dns_ms, connect_ms, tls_ms, first_byte_ms };
            Exchange {
                is_sent, is_http2, url, is_url_cut, headers, response, is_body_cut, timing, is_reused, remote_address,
                tls_version, tls_problem,
            }
        }
    }

    proptest! {
        #[test]
        fn an_exchange_is_decoded_as_it_was_encoded(exchange in any_exchange()) {
            prop_assert_eq!(Exchange::decode(&exchange.encode()), Ok(exchange));
        }

        #[test]
        fn other_bytes_are_refused_and_cause_no_panic(mut bytes: Vec<u8>, exchange in any_exchange(), cut in 0..200_usize) {
            bytes.insert(0, VERSION);
            let _ = Exchange::decode(&bytes);
            let whole = exchange.encode();
            if cut < whole.len() {
                prop_assert_eq!(Exchange::decode(&whole[..cut]), Err(UnknownExchange));
            }
        }
    }

    #[test]
    fn a_later_version_is_unknown() {
        let mut bytes = Exchange::default().encode();
        bytes[0] += 1;
        assert_eq!(Exchange::decode(&bytes), Err(UnknownExchange));
        assert_eq!(Exchange::decode(&[]), Err(UnknownExchange));
    }

    #[test]
    fn a_long_url_is_marked_as_cut() {
        for (bytes, is_cut) in [(MAX_URL_BYTES, false), (MAX_URL_BYTES + 1, true)] {
            let exchange = Exchange { url: "u".repeat(bytes), ..Exchange::default() };
            let stored = Exchange::decode(&exchange.encode()).expect("an exchange");
            assert_eq!((stored.url.len(), stored.is_url_cut), (MAX_URL_BYTES, is_cut));
        }
    }

    #[test]
    fn the_largest_exchange_is_within_its_limit() {
        let platform = KNOWN_NAMES.map(|name| SentHeader {
            name: name.to_owned(),
            // Two secrets, each with its two schemes.
            value: SentValue::Text("s".repeat(if name == "webhook-signature" { 4 * 100 } else { 40 })),
        });
        let custom = (0..20).map(|_| SentHeader {
            name: "n".repeat(MAX_CUSTOM_HEADERS_BYTES / 20),
            value: SentValue::Hidden,
        });
        let large = |bytes| Some("x".repeat(bytes));
        let exchange = Exchange {
            url: "u".repeat(2 * MAX_URL_BYTES),
            headers: platform.into_iter().chain(custom).collect(),
            response: Some(ResponseHeaders {
                block: vec![b'x'; 2 * MAX_RESPONSE_HEADERS_KEPT_BYTES],
                is_cut: true,
                location: large(2 * MAX_LOCATION_BYTES),
            }),
            remote_address: large(2 * MAX_REMOTE_BYTES),
            tls_problem: large(2 * MAX_PROBLEM_BYTES),
            timing: Timing { dns_ms: Some(u32::MAX), ..Timing::default() },
            ..Exchange::default()
        };
        let size = exchange.encode().len();
        assert!(size <= MAX_EXCHANGE_BYTES, "{size} of {MAX_EXCHANGE_BYTES}");
    }
}
