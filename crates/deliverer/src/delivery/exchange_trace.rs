//! Notes what happens while a request is sent, so that an attempt can be explained afterwards.
//!
//! The note is shared between the steps of one attempt, because a step that fails, panics or runs out of time returns
//! nothing. Each step notes its begin and its end; a phase that never ended lasted until the attempt did.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::delivery::exchange::{
    Exchange, HeaderContext, ResponseHeaders, SentHeader, SentValue, Timing, TlsVersion,
};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::connection::FirstByte;

/// Addresses of a name that are noted.
const MAX_ADDRESSES: usize = 4;

/// The problem of a handshake that was cut off by a timeout.
const HANDSHAKE_TIMEOUT: &str = "the handshake did not end in time";

/// A phase of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The name is looked up.
    Dns,
    /// The TCP connection is opened.
    Connect,
    /// TLS begins.
    Tls,
}

/// The note of one attempt. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExchangeTrace(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body_bytes: usize,
    connection: NotedConnection,
    /// Whether the request was handed to any connection. A second connection does not undo that, because the endpoint may
    /// have got the request over the first one.
    is_sent: bool,
    /// The beginning of the request over the current connection, and where its first byte is noted.
    request: Option<(Instant, FirstByte)>,
    response: Option<ResponseHeaders>,
    is_body_cut: bool,
}

/// The notes on a connection.
#[derive(Debug, Default)]
struct NotedConnection {
    /// The phase that goes on, and its begin.
    phase: Option<(Phase, Instant)>,
    timing: Timing,
    /// The addresses that are dialled.
    addresses: Vec<SocketAddr>,
    /// The address that answered.
    peer: Option<SocketAddr>,
    tls_version: Option<TlsVersion>,
    tls_problem: Option<String>,
    is_reused: bool,
    is_http2: bool,
}

/// The facts of a connection for each request that it serves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ConnectionFacts {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) tls_version: Option<TlsVersion>,
    pub(crate) is_http2: bool,
}

impl ExchangeTrace {
    /// Notes the request before it is sent.
    pub(crate) fn note_request(&self, url: &str, headers: &HeaderMap, body_bytes: usize) {
        let mut noted = self.lock();
        url.clone_into(&mut noted.url);
        // The values share their bytes with the request.
        noted.headers = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        noted.body_bytes = body_bytes;
    }

    /// Begins a new connection. A connection that was tried before counts no longer.
    pub(crate) fn begin_connection(&self) {
        let mut noted = self.lock();
        noted.connection = NotedConnection::default();
        noted.request = None;
        noted.response = None;
    }

    /// Ends the current phase and begins another one.
    pub(crate) fn begin_phase(&self, phase: Phase) {
        let mut noted = self.lock();
        noted.connection.end_phase();
        noted.connection.phase = Some((phase, Instant::now()));
    }

    /// Ends the current phase.
    pub(crate) fn end_phase(&self) {
        self.lock().connection.end_phase();
    }

    /// Notes the addresses that are dialled. None of them is forbidden.
    pub(crate) fn note_addresses(&self, addresses: impl Iterator<Item = SocketAddr>) {
        self.lock().connection.addresses = addresses.take(MAX_ADDRESSES).collect();
    }

    /// Notes the address that accepted the connection, because TLS may still fail with it.
    pub(crate) fn note_peer(&self, peer: Option<SocketAddr>) {
        self.lock().connection.peer = peer;
    }

    /// Notes the reason why TLS failed.
    pub(crate) fn note_tls_problem(&self, problem: String) {
        self.lock().connection.tls_problem = Some(problem);
    }

    /// Notes that the request is handed to a connection.
    pub(crate) fn begin_request(&self, facts: ConnectionFacts, is_reused: bool, first_byte: FirstByte) {
        let mut noted = self.lock();
        if is_reused {
            noted.connection = NotedConnection { is_reused, ..NotedConnection::default() };
        }
        let connection = &mut noted.connection;
        connection.peer = facts.peer;
        connection.tls_version = facts.tls_version;
        connection.is_http2 = facts.is_http2;
        noted.is_sent = true;
        noted.request = Some((Instant::now(), first_byte));
    }

    /// Notes the head of the response.
    pub(crate) fn note_response(&self, headers: ResponseHeaders) {
        self.lock().response = Some(headers);
    }

    /// Notes that the stored beginning of the body is not the whole body.
    pub(crate) fn note_cut_body(&self) {
        self.lock().is_body_cut = true;
    }

    /// Returns the exchange when the attempt has ended.
    pub(crate) fn finish(&self, facts: HeaderFacts) -> Exchange {
        let mut noted = self.lock();
        let Noted { url, headers, body_bytes, mut connection, is_sent, request, response, is_body_cut } =
            std::mem::take(&mut *noted);
        if matches!(connection.phase, Some((Phase::Tls, _))) && connection.tls_problem.is_none() {
            connection.tls_problem = Some(HANDSHAKE_TIMEOUT.to_owned());
        }
        connection.end_phase();
        let headers = sent_headers(&url, &headers, body_bytes, connection.is_http2, facts);
        Exchange {
            is_sent,
            is_http2: connection.is_http2,
            headers,
            response,
            is_body_cut,
            timing: Timing { first_byte_ms: request.and_then(first_byte_ms), ..connection.timing },
            is_reused: connection.is_reused,
            remote_address: connection.remote_address(),
            tls_version: connection.tls_version,
            tls_problem: connection.tls_problem,
            url,
            // The codec cuts it if it is too long.
            is_url_cut: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        // A poisoned lock is safe to use, because each note stands for itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The facts of an attempt from which header values follow.
pub(crate) struct HeaderFacts {
    pub(crate) event: domain::ids::EventId,
    pub(crate) started: domain::time::Timestamp,
}

impl NotedConnection {
    fn end_phase(&mut self) {
        let Some((phase, begin)) = self.phase.take() else { return };
        let duration = Some(whole_millis(begin.elapsed()));
        match phase {
            Phase::Dns => self.timing.dns_ms = duration,
            Phase::Connect => self.timing.connect_ms = duration,
            Phase::Tls => self.timing.tls_ms = duration,
        }
    }

    fn remote_address(&self) -> Option<String> {
        if let Some(peer) = self.peer {
            return Some(peer.to_string());
        }
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        (!addresses.is_empty()).then(|| addresses.join(", "))
    }
}

fn first_byte_ms((begin, first_byte): (Instant, FirstByte)) -> Option<u32> {
    first_byte.arrived_at().map(|at| whole_millis(at.saturating_duration_since(begin)))
}

fn whole_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Returns the headers in the order in which the HTTP library writes them: `content-length` is added at the end. HTTP/2 has
/// pseudo-headers instead of the request line and `host`.
fn sent_headers(
    url: &str,
    headers: &[(HeaderName, HeaderValue)],
    body_bytes: usize,
    is_http2: bool,
    facts: HeaderFacts,
) -> Vec<SentHeader> {
    let HeaderFacts { event, started } = facts;
    let context = HeaderContext { event, started, url };
    let plain = |name: &str, value| SentHeader { name: name.to_owned(), value };
    let mut sent = Vec::with_capacity(headers.len() + 5);
    if is_http2 {
        sent.push(plain(":method", SentValue::describe("POST", &context)));
        sent.push(plain(":scheme", SentValue::describe("https", &context)));
        sent.push(plain(":authority", SentValue::Authority));
        sent.push(plain(":path", SentValue::PathAndQuery));
    }
    for (name, value) in headers {
        let value = match value.to_str() {
            // The values of custom headers are marked as sensitive.
            Ok(text) if !value.is_sensitive() => SentValue::describe(text, &context),
            _ => SentValue::Hidden,
        };
        sent.push(plain(name.as_str(), value));
    }
    if !is_http2 {
        sent.push(plain(HOST.as_str(), SentValue::Authority));
    }
    sent.push(plain(CONTENT_LENGTH.as_str(), SentValue::Number(body_bytes as u64)));
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HeaderFacts {
        HeaderFacts {
            event: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("an id"),
            started: domain::time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("an instant"),
        }
    }

    fn noted() -> ExchangeTrace {
        let trace = ExchangeTrace::default();
        let mut headers = HeaderMap::new();
        let mut secret = HeaderValue::from_static("hunter2");
        secret.set_sensitive(true);
        headers.insert("x-key", secret);
        headers.insert("webhook-id", HeaderValue::from_static("01F2SFVYVD0H873S2VRT8VQSPM"));
        trace.note_request("https://example.com/hook", &headers, 217);
        trace
    }

    fn names_and_values(exchange: &Exchange) -> Vec<(String, String)> {
        let HeaderFacts { event, started } = facts();
        let context = HeaderContext { event, started, url: &exchange.url };
        exchange.headers.iter().map(|header| (header.name.clone(), header.value.resolve(&context))).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_duration_and_one_that_did_not_happen_has_none() {
        let trace = noted();
        trace.begin_connection();
        trace.begin_phase(Phase::Dns);
        tokio::time::advance(Duration::from_millis(7)).await;
        trace.begin_phase(Phase::Connect);
        trace.note_addresses(
            ["192.0.2.1:443", "192.0.2.2:443"].iter().map(|a| a.parse().expect("an address")),
        );
        tokio::time::advance(Duration::from_millis(30)).await;
        let exchange = trace.finish(facts());
        let expected = Timing { dns_ms: Some(7), connect_ms: Some(30), tls_ms: None, first_byte_ms: None };
        assert_eq!(exchange.timing, expected, "a phase that never ended lasted until the attempt did");
        assert_eq!(exchange.remote_address.as_deref(), Some("192.0.2.1:443, 192.0.2.2:443"));
        assert!(!exchange.is_sent && exchange.response.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_connection_replaces_what_was_noted_of_the_first() {
        let trace = noted();
        let peer = "192.0.2.1:443".parse().ok();
        let facts_of = ConnectionFacts { peer, tls_version: Some(TlsVersion::Tls13), is_http2: false };
        trace.begin_request(facts_of, true, FirstByte::default());
        trace.begin_connection();
        trace.begin_phase(Phase::Connect);
        tokio::time::advance(Duration::from_millis(3)).await;
        trace.end_phase();
        let first_byte = FirstByte::default();
        trace.begin_request(
            ConnectionFacts { peer, ..ConnectionFacts::default() },
            false,
            first_byte.clone(),
        );
        tokio::time::advance(Duration::from_millis(11)).await;
        first_byte.note();
        tokio::time::advance(Duration::from_millis(11)).await;
        first_byte.note();
        let exchange = trace.finish(facts());
        assert!(exchange.is_sent && !exchange.is_reused);
        assert_eq!((exchange.timing.connect_ms, exchange.timing.first_byte_ms), (Some(3), Some(11)));
        assert_eq!(exchange.remote_address.as_deref(), Some("192.0.2.1:443"));
    }

    #[test]
    fn a_failed_handshake_names_its_address_and_its_problem() {
        let trace = noted();
        trace.begin_connection();
        trace.begin_phase(Phase::Connect);
        trace.note_addresses(
            ["192.0.2.1:443", "192.0.2.2:443"].iter().map(|a| a.parse().expect("an address")),
        );
        trace.note_peer("192.0.2.2:443".parse().ok());
        trace.begin_phase(Phase::Tls);
        let exchange = trace.finish(facts());
        assert_eq!(exchange.remote_address.as_deref(), Some("192.0.2.2:443"));
        assert_eq!(exchange.tls_problem.as_deref(), Some(HANDSHAKE_TIMEOUT));
    }

    #[test]
    fn a_request_stays_sent_if_a_second_connection_cannot_be_opened() {
        let trace = noted();
        trace.begin_request(ConnectionFacts::default(), true, FirstByte::default());
        trace.begin_connection();
        trace.begin_phase(Phase::Connect);
        let exchange = trace.finish(facts());
        assert!(exchange.is_sent && !exchange.is_reused);
        assert_eq!(exchange.timing.first_byte_ms, None);
        assert!(!trace.finish(facts()).is_sent, "the next attempt begins anew");
    }

    #[test]
    fn the_values_of_custom_headers_are_hidden() {
        let exchange = noted().finish(facts());
        let expected = [
            ("x-key", "(hidden)"),
            ("webhook-id", "01F2SFVYVD0H873S2VRT8VQSPM"),
            ("host", "example.com"),
            ("content-length", "217"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(names_and_values(&exchange), expected);
        assert!(!String::from_utf8_lossy(&exchange.encode()).contains("hunter2"));
    }

    #[test]
    fn a_request_over_http2_has_pseudo_headers() {
        let trace = noted();
        let facts_of = ConnectionFacts { is_http2: true, ..ConnectionFacts::default() };
        trace.begin_request(facts_of, false, FirstByte::default());
        let names: Vec<String> =
            trace.finish(facts()).headers.into_iter().map(|header| header.name).collect();
        let expected = [":method", ":scheme", ":authority", ":path", "x-key", "webhook-id", "content-length"];
        assert_eq!(names, expected);
    }
}
