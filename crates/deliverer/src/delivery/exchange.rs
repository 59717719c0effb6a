//! One HTTP request: facts, and nothing else. What follows from them is decided in `domain`.

use std::error::Error;
use std::io;
use std::time::Duration;

use domain::limits::{RESPONSE_KEPT_BYTES, RESPONSE_READ_BYTES};
use domain::outcome::{Facts, Outcome, retry_after_seconds};
use domain::trace::TRACEPARENT;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use store::clock;
use tokio::time::{Instant, timeout_at};

use crate::delivery::address_guard::Unresolved;
use crate::delivery::client::Client;

/// Longest error text that is kept with an attempt, in characters.
const ERROR_CHARS: usize = 500;

/// A request that is ready to go.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) url: url::Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What the platform adds to a webhook's own headers.
pub(crate) fn platform_headers(headers: &mut HeaderMap, id: &str, unix_seconds: i64, signature: &str) {
    let ascii =
        |text: &str| HeaderValue::from_str(text).unwrap_or_else(|_| unreachable!("ids, digits and base64"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("webhook-id", ascii(id));
    headers.insert("webhook-timestamp", HeaderValue::from(unix_seconds));
    headers.insert("webhook-signature", ascii(signature));
}

/// Hands the producer's trace on. It takes the place of a header that the webhook set itself.
pub(crate) fn trace_header(headers: &mut HeaderMap, trace: Option<String>) {
    if let Some(trace) = trace.and_then(|trace| HeaderValue::try_from(trace).ok()) {
        headers.insert(TRACEPARENT, trace);
    }
}

/// Sends a request and waits for the status, and for the start of the body, within `limit`.
pub(crate) async fn send(client: &Client, request: Request, limit: Duration) -> Facts {
    if let Err(forbidden) = client.guard.check_literal(&request.url) {
        return Facts::failed(Outcome::Blocked, forbidden.to_string());
    }
    let deadline = Instant::now() + limit;
    let sending = client.http.post(request.url).headers(request.headers).body(request.body).send();
    let response = match timeout_at(deadline, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return failure(error),
        Err(_) => return Facts::failed(Outcome::Timeout, format!("no answer within {limit:?}")),
    };
    let mut facts = Facts::from_status(response.status().as_u16());
    facts.retry_after_seconds = retry_after(&response);
    // The status has decided: the body only explains, and may end as it likes.
    facts.response_body = body(response, deadline).await;
    facts
}

/// The facts of an attempt in which a panic ended the exchange: our fault, whatever the endpoint sent.
pub(crate) fn panicked() -> Facts {
    let error = "the exchange failed in this process; its log says where".to_owned();
    Facts { ours: true, ..Facts::failed(Outcome::Protocol, error) }
}

fn retry_after(response: &reqwest::Response) -> Option<u64> {
    if !matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    retry_after_seconds(response.headers().get(RETRY_AFTER)?.to_str().ok()?, clock::now())
}

/// Reads at most 16 KiB, so that a short body leaves the connection reusable, and keeps 4 KiB.
async fn body(mut response: reqwest::Response, deadline: Instant) -> Option<String> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await {
        let room = RESPONSE_KEPT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
        read += chunk.len();
        if read > RESPONSE_READ_BYTES {
            break;
        }
    }
    // PostgreSQL's text holds no NUL.
    (!kept.is_empty()).then(|| String::from_utf8_lossy(&kept).replace('\0', "\u{fffd}"))
}

fn failure(error: reqwest::Error) -> Facts {
    // The endpoint's URL may hold secrets in its query.
    let error = error.without_url();
    let outcome = classify(&error);
    let text: String = describe(&error).replace('\0', "\u{fffd}").chars().take(ERROR_CHARS).collect();
    Facts { ours: is_ours(&error), ..Facts::failed(outcome, text) }
}

/// Whether this machine could not even try.
fn is_ours(error: &(dyn Error + 'static)) -> bool {
    let io = chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    io.into_iter().any(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::OutOfMemory => true,
        // Without a kind of their own: ENFILE, EMFILE, ENOBUFS (errno(3)).
        _ => matches!(error.raw_os_error(), Some(23 | 24 | 105)),
    })
}

/// The innermost error that people can act on; the layers above only say "error sending request".
fn describe(error: &(dyn Error + 'static)) -> String {
    let mut last = error.to_string();
    for cause in chain(error).skip(1) {
        last = cause.to_string();
        if cause.is::<Unresolved>() {
            break;
        }
    }
    last
}

fn classify(error: &reqwest::Error) -> Outcome {
    for cause in chain(error) {
        match cause.downcast_ref::<Unresolved>() {
            Some(Unresolved::Forbidden(_)) => return Outcome::Blocked,
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
    let io = chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
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

/// An error and its causes. An I/O error's `source` skips the error that it wraps, so that is
/// looked into as well.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => Some(inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_could_not_try_is_ours() {
        for code in [23, 24, 99, 100, 101, 105] {
            assert!(is_ours(&io::Error::from_raw_os_error(code)), "{code}");
            assert!(is_ours(&io::Error::other(io::Error::from_raw_os_error(code))), "{code} within another");
        }
        // Refused, reset, timed out, no route to the host: what an endpoint's own machine does, too.
        for code in [104, 110, 111, 113] {
            assert!(!is_ours(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }
}
