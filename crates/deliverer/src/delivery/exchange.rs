//! Performs one HTTP exchange and returns its facts. `domain` decides what follows from them.

use std::error::Error;
use std::io;
use std::time::Duration;

use domain::delivery::attempt::{Facts, Outcome, parse_retry_after};
use domain::limits::{MAX_RESPONSE_KEPT_BYTES, MAX_RESPONSE_READ_BYTES};
use http::StatusCode;
use http::header::RETRY_AFTER;
use store::clock;
use tokio::time::{Instant, timeout_at};

use crate::delivery::address_guard::{AddressGuard, Unresolved};
use crate::delivery::client::Client;
use crate::delivery::request::Request;

/// Longest error text that is recorded with an attempt, in characters.
const MAX_ERROR_CHARS: usize = 500;

/// Sends a request, and waits up to `timeout` for the status and the start of the body.
pub(crate) async fn send_request(client: &Client, request: Request, timeout: Duration) -> Facts {
    if let Err(forbidden) = client.guard.check_literal(&request.url) {
        return Facts::without_status(Outcome::Blocked, forbidden.to_string());
    }
    let deadline = Instant::now() + timeout;
    let sending = client.http.post(request.url).headers(request.headers).body(request.body).send();
    let sending = AddressGuard::within_brand(request.brand, sending);
    let response = match timeout_at(deadline, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return failure_facts(error),
        Err(_) => return Facts::without_status(Outcome::Timeout, format!("no answer within {timeout:?}")),
    };
    let mut facts = Facts::from_status(response.status().as_u16());
    facts.retry_after_seconds = retry_after(&response);
    // The status has decided. The body only explains it, so that its end does not matter.
    facts.response_body = read_body(response, deadline).await;
    facts
}

/// Returns the facts of an attempt that ended in a panic. It is our fault, whatever the endpoint sent.
pub(crate) fn panic_facts() -> Facts {
    let error = "the exchange failed in this process; its log says where".to_owned();
    Facts { caused_locally: true, ..Facts::without_status(Outcome::Protocol, error) }
}

fn retry_after(response: &reqwest::Response) -> Option<u64> {
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    parse_retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?, clock::now())
}

/// Reads at most 16 KiB, so that a short body leaves the connection reusable, and keeps 4 KiB.
async fn read_body(mut response: reqwest::Response, deadline: Instant) -> Option<String> {
    let mut kept = Vec::new();
    let mut read = 0;
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        let room = MAX_RESPONSE_KEPT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        read += chunk.len();
        if read > MAX_RESPONSE_READ_BYTES {
            break;
        }
    }
    // PostgreSQL's text holds no NUL.
    (!kept.is_empty()).then(|| String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}"))
}

fn failure_facts(error: reqwest::Error) -> Facts {
    // The endpoint's URL may hold secrets in its query.
    let error = error.without_url();
    let outcome = classify_error(&error);
    let text: String =
        describe_error(&error).replace('\0', "\u{fffd}").chars().take(MAX_ERROR_CHARS).collect();
    Facts { caused_locally: is_ours(&error), ..Facts::without_status(outcome, text) }
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
        last = cause.to_string();
        if cause.is::<Unresolved>() {
            break;
        }
    }
    last
}

fn classify_error(error: &reqwest::Error) -> Outcome {
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
    if error.is_timeout() {
        return Outcome::Timeout;
    }
    let io = error_chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match io {
        // Connected, but the other side left during the handshake.
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) if error.is_connect() => Outcome::Tls,
        Some(
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe,
        ) => Outcome::Connect,
        Some(io::ErrorKind::TimedOut) => Outcome::Timeout,
        _ if error.is_connect() => Outcome::Connect,
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
    use runtime::names::LookupError;
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::delivery::client::{self, HttpSettings};

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

    #[tokio::test]
    async fn a_forbidden_address_is_blocked_without_a_connection() {
        let facts = send_request(&client(), request("https://10.0.0.1/"), Duration::from_secs(5)).await;
        assert_eq!((facts.outcome, facts.caused_locally), (Outcome::Blocked, false));
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_is_dns() {
        let facts = send_request(&client(), request("https://hooks.invalid/"), Duration::from_secs(5)).await;
        assert_eq!((facts.outcome, facts.caused_locally), (Outcome::Dns, false));
        let error = facts.error.expect("a text");
        assert_eq!(error, "the name hooks.invalid could not be resolved: there is no such name");
    }

    #[tokio::test]
    async fn a_closed_port_is_a_failed_connection_without_the_url_in_its_text() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        drop(listener);
        let url = format!("https://127.0.0.1:{port}/?token=hidden");
        let facts = send_request(&client(), request(&url), Duration::from_secs(5)).await;
        assert_eq!(facts.outcome, Outcome::Connect);
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
            let plain = send_request(&client, request(&url), Duration::from_secs(5)).await;
            let silent = send_request(&client, request(&url), Duration::from_millis(50)).await;
            (plain, silent)
        };
        tokio::select! {
            () = answering => unreachable!("it waits for good"),
            (plain, silent) = sending => {
                assert_eq!(plain.outcome, Outcome::Tls, "{plain:?}");
                assert_eq!(silent.outcome, Outcome::Timeout, "{silent:?}");
                assert!(silent.error.expect("a text").contains("no answer within 50ms"));
            }
        }
    }
}
