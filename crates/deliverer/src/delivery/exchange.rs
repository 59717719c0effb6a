//! Performs one HTTP exchange and returns its facts. `domain` decides what follows from them.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use domain::delivery::attempt::{Facts, Outcome, parse_retry_after};
use domain::limits::{MAX_RESPONSE_KEPT_BYTES, MAX_RESPONSE_READ_BYTES};
use domain::webhook::endpoint;
use http::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use http::uri::Authority;
use http::{Method, StatusCode, Uri};
use http_body_util::Full;
use store::clock;
use tokio::time::{Instant, timeout_at};

use crate::delivery::address_guard::Unresolved;
use crate::delivery::client::{self, Client};
use crate::delivery::connection::{Answer, Destination, SendError, Stage, tls_error_text};
use crate::delivery::exchange_trace::ExchangeTrace;
use crate::delivery::request::Request;

/// Longest error text that is recorded with an attempt, in characters.
const MAX_ERROR_CHARS: usize = 500;

/// Sends a request, and waits up to `timeout` for the status and the start of the body. The trace shows the exchange
/// afterwards, however it ended.
pub(crate) async fn send_request(
    client: &Client,
    mut request: Request,
    timeout: Duration,
    trace: &ExchangeTrace,
) -> Facts {
    add_client_headers(&mut request.headers);
    trace.note_request(request.url.as_str(), &request.headers, request.body.len());
    if let Err(forbidden) = client.guard.check_host(&request.url) {
        return Facts::without_status(Outcome::Blocked, forbidden.to_string());
    }
    let (to, request) = match prepare_request(request) {
        Ok(prepared) => prepared,
        Err(error) => return Facts::without_status(Outcome::Connect, error.to_owned()),
    };
    let deadline = Instant::now() + timeout;
    let sending = Box::pin(client.http.send(&to, request, trace));
    let answer = match timeout_at(deadline, sending).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return failure_facts(&error),
        Err(_) => return Facts::without_status(Outcome::Timeout, format!("no answer within {timeout:?}")),
    };
    let mut facts = Facts::from_status(answer.status);
    facts.retry_after_seconds = retry_after(&answer);
    // The status has decided. The body only explains it, so that its end does not matter.
    let (body, is_whole) = read_body(answer, deadline).await;
    facts.response_body = body;
    if !is_whole {
        trace.note_cut_body();
    }
    facts
}

/// Adds the headers that the platform sends to every endpoint.
fn add_client_headers(headers: &mut HeaderMap) {
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(client::USER_AGENT));
}

/// Returns where a request goes to, and the request for the HTTP library.
fn prepare_request(request: Request) -> Result<(Destination, http::Request<Full<Bytes>>), &'static str> {
    const NOT_CALLABLE: &str = "the endpoint's host cannot be called: TLS cannot name it";
    let server_name = endpoint::server_name(&request.url).ok_or(NOT_CALLABLE)?;
    let uri = Uri::try_from(request.url.as_str()).map_err(|_| "the endpoint's URL cannot be requested")?;
    let host = uri.authority().map_or("", Authority::as_str).into();
    let mut prepared = http::Request::new(Full::from(request.body));
    *prepared.method_mut() = Method::POST;
    *prepared.uri_mut() = uri.clone();
    *prepared.headers_mut() = request.headers;
    Ok((Destination { brand: request.brand, uri, host, server_name }, prepared))
}

/// Returns the facts of an attempt that ended in a panic. It is our fault, whatever the endpoint sent.
pub(crate) fn panic_facts() -> Facts {
    let error = "the exchange failed in this process; its log says where".to_owned();
    Facts { caused_locally: true, ..Facts::without_status(Outcome::Protocol, error) }
}

fn retry_after(answer: &Answer) -> Option<u64> {
    if !matches!(
        StatusCode::from_u16(answer.status),
        Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    ) {
        return None;
    }
    parse_retry_after(answer.retry_after.as_deref()?, clock::now())
}

/// Reads at most 16 KiB, so that a short body leaves the connection reusable, and keeps 4 KiB. Returns the kept text, and
/// whether it is the whole body.
async fn read_body(mut answer: Answer, deadline: Instant) -> (Option<String>, bool) {
    let mut kept = Vec::new();
    let mut read = 0;
    while let Ok(Some(chunk)) = timeout_at(deadline, answer.chunk()).await {
        let room = MAX_RESPONSE_KEPT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        read += chunk.len();
        if read > MAX_RESPONSE_READ_BYTES {
            break;
        }
    }
    let is_whole = answer.is_whole() && read == kept.len();
    // PostgreSQL's text holds no NUL.
    let text = (!kept.is_empty()).then(|| String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}"));
    (text, is_whole)
}

/// Returns the facts of a request that was not answered. No error contains the URL, whose query may hold secrets.
fn failure_facts(error: &SendError) -> Facts {
    let text: String =
        describe_error(error).replace('\0', "\u{fffd}").chars().take(MAX_ERROR_CHARS).collect();
    Facts { caused_locally: is_ours(error), ..Facts::without_status(classify_error(error), text) }
}

/// Whether the failure lies with this machine, which could not even try.
fn is_ours(error: &(dyn Error + 'static)) -> bool {
    if error_chain(error).any(|cause| cause.downcast_ref().is_some_and(Unresolved::is_local)) {
        return true;
    }
    let io = error_chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.into_iter().any(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::OutOfMemory => true,
        // Errors without a kind of their own: ENFILE, EMFILE, ENOBUFS (errno(3)).
        _ => matches!(error.raw_os_error(), Some(23 | 24 | 105)),
    })
}

/// Returns the innermost error that people can act on. The layers above only say "error sending request".
fn describe_error(error: &(dyn Error + 'static)) -> String {
    let mut last = error.to_string();
    for cause in error_chain(error).skip(1) {
        last = match cause.downcast_ref::<rustls::Error>() {
            Some(error) => tls_error_text(error),
            None => cause.to_string(),
        };
        if cause.is::<Unresolved>() {
            break;
        }
    }
    last
}

fn classify_error(error: &SendError) -> Outcome {
    for cause in error_chain(error) {
        match cause.downcast_ref::<Unresolved>() {
            Some(Unresolved::Forbidden { .. }) => return Outcome::Blocked,
            Some(Unresolved::Dns { .. }) => return Outcome::Dns,
            None => {}
        }
        if cause.is::<rustls::Error>() {
            return Outcome::Tls;
        }
    }
    let is_connecting = error.stage == Stage::Connecting;
    let io = error_chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match io {
        // Connected, but the other side left during the handshake.
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) if is_connecting => Outcome::Tls,
        Some(
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe,
        ) => Outcome::Connect,
        Some(io::ErrorKind::TimedOut) => Outcome::Timeout,
        _ if is_connecting => Outcome::Connect,
        _ => Outcome::Protocol,
    }
}

/// Returns an error and its causes. An I/O error's `source` skips the error that it wraps, so that the chain looks into
/// it as well.
fn error_chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause_of(*error))
}

fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use domain::delivery::exchange::{Exchange, Timing};
    use runtime::names::LookupError;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::delivery::client::HttpSettings;
    use crate::delivery::exchange_trace::HeaderFacts;

    #[test]
    fn a_failure_of_this_machine_does_not_count_against_the_endpoint() {
        for code in [23, 24, 99, 100, 101, 105] {
            assert!(is_ours(&io::Error::from_raw_os_error(code)), "{code}");
            assert!(is_ours(&io::Error::other(io::Error::from_raw_os_error(code))), "{code} within another");
        }
        // Refused, reset, timed out, no route to the host: an endpoint's own machine causes these, too.
        for code in [104, 110, 111, 113] {
            assert!(!is_ours(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }

    #[test]
    fn the_innermost_error_is_told_and_a_refused_name_before_it() {
        let resolver = Unresolved::Dns { name: "x.test".to_owned(), reason: LookupError::NoSuchName };
        let wrapped = io::Error::other(io::Error::other(resolver));
        assert_eq!(describe_error(&wrapped), "the name x.test could not be resolved: there is no such name");
        assert_eq!(describe_error(&io::Error::other("plain")), "plain");
    }

    #[test]
    fn a_lookup_that_did_not_begin_does_not_count_against_the_endpoint() {
        let unresolved = |reason| io::Error::other(Unresolved::Dns { name: "x.test".to_owned(), reason });
        assert!(is_ours(&unresolved(LookupError::NotBegun(1))));
        assert!(is_ours(&unresolved(LookupError::NoServer)));
        assert!(!is_ours(&unresolved(LookupError::Silent(Duration::from_secs(3)))));
        assert!(!is_ours(&io::Error::other(Unresolved::Forbidden { name: "x.test".to_owned() })));
    }

    #[test]
    fn the_chain_goes_through_errors_that_io_errors_wrap() {
        let inner = io::Error::from_raw_os_error(24);
        let wrapped = io::Error::other(io::Error::other(inner));
        assert_eq!(error_chain(&wrapped).count(), 3);
    }

    #[test]
    fn a_panic_is_our_fault_and_retried() {
        let facts = panic_facts();
        assert!(facts.caused_locally && facts.outcome == Outcome::Protocol && facts.error.is_some());
    }

    /// A client that may call this machine.
    fn client() -> Client {
        let settings = HttpSettings {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            allow_networks: "127.0.0.0/8".parse().expect("networks"),
            extra_ca_file: String::new(),
            http2: false,
            names: runtime::names::NameSettings::default(),
        };
        client::build(&settings).expect("a client")
    }

    fn request(url: &str) -> Request {
        Request {
            brand: "acme".parse().expect("a brand"),
            url: url.parse().expect("a URL"),
            headers: http::HeaderMap::new(),
            body: Vec::new(),
        }
    }

    const LONG_TIMEOUT: Duration = Duration::from_secs(5);

    fn finish(trace: &ExchangeTrace) -> Exchange {
        let event = "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("an id");
        trace.finish(HeaderFacts { event, started: clock::now() })
    }

    async fn send(client: &Client, url: &str) -> (Facts, Exchange) {
        let trace = ExchangeTrace::default();
        let facts = send_request(client, request(url), LONG_TIMEOUT, &trace).await;
        (facts, finish(&trace))
    }

    #[tokio::test]
    async fn a_forbidden_address_is_blocked_without_a_connection() {
        let (facts, exchange) = send(&client(), "https://10.0.0.1/").await;
        assert_eq!((facts.outcome, facts.caused_locally), (Outcome::Blocked, false));
        assert_eq!(
            (exchange.remote_address, exchange.is_sent),
            (None, false),
            "the answer reveals no address"
        );
        assert_eq!(exchange.timing, Timing::default());
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_dns() {
        let (facts, exchange) = send(&client(), "https://hooks.invalid/").await;
        assert!(exchange.timing.dns_ms.is_some() && exchange.timing.connect_ms.is_none());
        assert_eq!(exchange.remote_address, None);
        assert_eq!((facts.outcome, facts.caused_locally), (Outcome::Dns, false));
        let error = facts.error.expect("a text");
        assert_eq!(error, "the name hooks.invalid could not be resolved: there is no such name");
    }

    #[tokio::test]
    async fn a_closed_port_is_a_failed_connection_without_the_url_in_its_text() {
        // It is bound and does not listen, so that its port refuses connections and nobody else gets it.
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let port = socket.local_addr().expect("its address").port();
        let url = format!("https://127.0.0.1:{port}/?token=hidden");
        let trace = ExchangeTrace::default();
        let facts = send_request(&client(), request(&url), LONG_TIMEOUT, &trace).await;
        assert_eq!(facts.outcome, Outcome::Connect);
        let exchange = finish(&trace);
        assert_eq!(exchange.remote_address, Some(format!("127.0.0.1:{port}")));
        let timing = exchange.timing;
        assert!(
            timing.dns_ms.is_none() && timing.connect_ms.is_some() && timing.tls_ms.is_none(),
            "{timing:?}"
        );
        assert!(!exchange.is_sent && exchange.url == url);
        assert!(!facts.error.expect("a text").contains("hidden"));
    }

    #[tokio::test]
    async fn a_server_that_speaks_no_tls_fails_the_handshake_and_a_silent_one_times_out() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/", listener.local_addr().expect("its address"));
        let answering = async {
            let (mut plain, _) = listener.accept().await.expect("a connection");
            plain.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
            // The second connection is never accepted.
            std::future::pending::<()>().await;
        };
        let sending = async {
            let client = client();
            let plain = send(&client, &url).await;
            let trace = ExchangeTrace::default();
            let silent = send_request(&client, request(&url), Duration::from_secs(3), &trace).await;
            (plain, (silent, finish(&trace)))
        };
        tokio::select! {
            () = answering => unreachable!("it waits for good"),
            ((plain, of_plain), (silent, of_silent)) = sending => {
                assert_eq!(plain.outcome, Outcome::Tls, "{plain:?}");
                assert_eq!(silent.outcome, Outcome::Timeout, "{silent:?}");
                assert!(silent.error.expect("a text").contains("no answer within 3s"));
                assert_eq!(of_plain.tls_problem.as_deref(), Some("the endpoint does not speak TLS"));
                assert!(of_silent.timing.tls_ms.is_some_and(|ms| ms >= 1000), "{:?}", of_silent.timing);
                assert!(of_plain.tls_version.is_none() && of_silent.tls_version.is_none());
                assert_eq!(of_silent.tls_problem.as_deref(), Some("the handshake did not end in time"));
            }
        }
    }
}
