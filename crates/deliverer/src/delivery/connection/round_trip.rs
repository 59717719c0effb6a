//! Sends one request over one connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::delivery::exchange::{MAX_LOCATION_BYTES, ResponseHeaders};
use domain::text::truncate_text;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use runtime::tasks;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::SendError;
use super::observed_stream::{FirstByte, Observation};
use super::pool::{Host, Pool};
use super::response_head::HeaderLines;
use crate::delivery::exchange_trace::{ConnectionFacts, ExchangeTrace};

/// How long a connection without a user may take to close, for example to write what is buffered for an endpoint that
/// does not read.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take until it is ready for the next request after a response has ended, because an endpoint
/// that responded early may still read the request.
const READY_TIMEOUT: Duration = Duration::from_secs(4);

type Body = Full<Bytes>;

/// An open connection.
#[derive(Debug)]
pub(super) enum Open {
    Http1(Http1),
    Http2(Http2),
}

/// A connection that serves one request after the other.
#[derive(Debug)]
pub(super) struct Http1 {
    sender: http1::SendRequest<Body>,
    observation: Arc<Observation>,
    facts: ConnectionFacts,
    _user: UserGuard,
}

/// A connection that serves many requests at once.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Body>,
    observation: Arc<Observation>,
    facts: ConnectionFacts,
    _user: Arc<UserGuard>,
}

/// Lets the task of a connection know, when it is dropped, that nobody uses the connection any more.
#[derive(Debug)]
struct UserGuard(#[expect(dead_code, reason = "its drop is the message")] oneshot::Sender<Infallible>);

impl Http1 {
    /// Starts the task of a connection.
    pub(super) fn start(
        sender: http1::SendRequest<Body>,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
        observation: Arc<Observation>,
        facts: ConnectionFacts,
    ) -> Self {
        Self { sender, observation, facts, _user: spawn_connection(connection) }
    }

    /// Whether a request can be sent over it, as far as this side knows.
    pub(super) fn is_usable(&self) -> bool {
        self.sender.is_ready()
    }
}

impl Http2 {
    /// Starts the task of a connection.
    pub(super) fn start(
        sender: http2::SendRequest<Body>,
        connection: impl Future<Output = hyper::Result<()>> + Send + 'static,
        observation: Arc<Observation>,
        facts: ConnectionFacts,
    ) -> Self {
        Self { sender, observation, facts, _user: Arc::new(spawn_connection(connection)) }
    }

    /// Whether a request can be sent over it, as far as this side knows.
    pub(super) fn is_usable(&self) -> bool {
        self.sender.is_ready()
    }
}

/// Runs a connection until it ends, or until some time after its last user is gone.
fn spawn_connection(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) -> UserGuard {
    let (user, used) = oneshot::channel::<Infallible>();
    tasks::spawn_named("connection to an endpoint", async move {
        // A response that causes a panic ends its own connection, and no other.
        let mut connection = std::pin::pin!(tasks::contain_panic(connection));
        // An error of the connection is also the error of its request.
        tokio::select! {
            _ = &mut connection => return,
            _ = used => {}
        }
        let _ = timeout(CLOSE_TIMEOUT, connection).await;
    });
    UserGuard(user)
}

/// A response. Its connection is kept once the body has been read to its end, and closed otherwise.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The value of `Retry-After`.
    pub(crate) retry_after: Option<String>,
    /// `None` if the library refused the head, and has closed the connection.
    body: Option<AnswerBody>,
    /// Whether the body has been read to its end.
    is_whole: bool,
}

#[derive(Debug)]
struct AnswerBody {
    incoming: Incoming,
    connection: Open,
    kept: KeptConnection,
}

/// Where a connection is kept after its response.
#[derive(Debug)]
pub(super) struct KeptConnection {
    pub(super) pool: Pool,
    pub(super) host: Host,
}

impl Answer {
    /// Returns whether the body has been read to its end. Otherwise it was cut off, or there is more of it.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the next part of the body; `None` at its end, also if it is cut off.
    pub(crate) async fn chunk(&mut self) -> Option<Bytes> {
        loop {
            match self.body.as_mut()?.incoming.frame().await {
                Some(Ok(frame)) => {
                    // Trailers are no part of the body.
                    if let Ok(data) = frame.into_data() {
                        return Some(data);
                    }
                }
                Some(Err(_)) => {
                    self.body = None;
                    return None;
                }
                None => {
                    self.is_whole |= self.body.is_some();
                    self.body.take().into_iter().for_each(AnswerBody::keep_connection);
                    return None;
                }
            }
        }
    }
}

impl AnswerBody {
    /// Keeps the connection for the next request, once it is ready.
    fn keep_connection(self) {
        let Open::Http1(mut connection) = self.connection else { return };
        let KeptConnection { pool, host } = self.kept;
        if connection.is_usable() {
            return pool.keep(&host, Open::Http1(connection));
        }
        tasks::spawn_named("connection that becomes ready", async move {
            if timeout(READY_TIMEOUT, connection.sender.ready()).await.is_ok_and(|ready| ready.is_ok()) {
                pool.keep(&host, Open::Http1(connection));
            }
        });
    }
}

/// The end of one try.
#[derive(Debug)]
pub(super) struct RoundTrip {
    pub(super) result: Result<Answer, SendError>,
    /// Whether the endpoint has probably not read the request, if the connection was used before: nothing has arrived for
    /// it, or only a 408 that ends the connection.
    pub(super) is_probably_unread: bool,
}

/// Sends a request over a connection, and waits for the head of the response.
pub(super) async fn make_round_trip(
    mut open: Open,
    request: Request<Body>,
    kept: KeptConnection,
    trace: &ExchangeTrace,
    is_reused: bool,
) -> RoundTrip {
    let observation = Arc::clone(open.observation());
    let first_byte = FirstByte::default();
    let before = open.expect_response(&first_byte);
    trace.begin_request(open.facts(), is_reused, first_byte.clone());
    match open.send(request).await {
        Ok(response) => {
            // On HTTP/2 the bytes of several responses arrive in turns.
            first_byte.note();
            let is_probably_unread = matches!(open, Open::Http1(_)) && is_unsolicited_timeout(&response);
            trace.note_response(response_headers(&open, response.headers()));
            let (head, incoming) = response.into_parts();
            let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let answer = Answer {
                status: head.status.as_u16(),
                retry_after: retry_after.map(str::to_owned),
                body: Some(AnswerBody { incoming, connection: open, kept }),
                is_whole: false,
            };
            RoundTrip { result: Ok(answer), is_probably_unread }
        }
        Err(failure) => {
            if let Some(answer) = read_refused_head(&failure, &observation) {
                let HeaderLines { block, is_cut } = observation.take_header_lines();
                trace.note_response(ResponseHeaders { block, is_cut, location: None });
                return RoundTrip { result: Ok(answer), is_probably_unread: false };
            }
            let is_probably_unread = failure.is_unsent || observation.received_bytes() == before;
            RoundTrip { result: Err(SendError::exchanging(failure.error)), is_probably_unread }
        }
    }
}

/// Whether a response is the 408 with which servers close a connection on which no request arrived in time. It says
/// nothing about a request that crossed it (RFC 9110 §15.5.9). A 408 that leaves the connection open is an answer.
fn is_unsolicited_timeout(response: &Response<Incoming>) -> bool {
    response.status() == StatusCode::REQUEST_TIMEOUT
        && ends_connection(response.version(), response.headers())
}

fn ends_connection(version: Version, headers: &HeaderMap) -> bool {
    let mut options = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let says_close =
        options.any(|value| value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close")));
    let has_length = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    says_close || version == Version::HTTP_10 || !has_length
}

/// Returns the answer whose head the library refused, if the status is known nevertheless.
///
/// A head that was cut off, or is too large, has no status, because it never ended.
fn read_refused_head(failure: &Failure, observation: &Observation) -> Option<Answer> {
    let head = observation.response_head()?;
    let is_refused = failure.error.is_parse() && !failure.error.is_parse_too_large();
    (head.is_complete || is_refused).then_some(Answer {
        status: head.status,
        retry_after: head.retry_after,
        body: None,
        is_whole: false,
    })
}

/// Returns the header lines of a response: as they arrived over HTTP/1.1, or composed of the fields of HTTP/2.
fn response_headers(open: &Open, headers: &HeaderMap) -> ResponseHeaders {
    let lines = match open {
        Open::Http1(connection) => connection.observation.take_header_lines(),
        Open::Http2(_) => compose_lines(headers),
    };
    let HeaderLines { block, is_cut } = lines;
    let location = headers.get(LOCATION).filter(|_| is_cut);
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let location = location.map(|text| truncate_text(&text, MAX_LOCATION_BYTES).into_owned());
    ResponseHeaders { block, is_cut, location }
}

fn compose_lines(headers: &HeaderMap) -> HeaderLines {
    let mut lines = HeaderLines::default();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            lines.push(part);
        }
    }
    lines
}

/// Why a connection did not answer a request.
struct Failure {
    error: hyper::Error,
    /// Whether the request was certainly not processed: it was not written, or the endpoint says so.
    is_unsent: bool,
}

impl From<TrySendError<Request<Body>>> for Failure {
    fn from(mut failed: TrySendError<Request<Body>>) -> Self {
        let is_unsent = failed.take_message().is_some();
        let error = failed.into_error();
        let is_unsent = is_unsent || is_unprocessed(&error);
        Self { error, is_unsent }
    }
}

/// Whether the endpoint says, in HTTP/2, that it did not process the request (RFC 9113 §8.7).
fn is_unprocessed(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|error| match error.reason() {
        Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
        Some(h2::Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
        _ => false,
    })
}

impl Open {
    fn facts(&self) -> ConnectionFacts {
        match self {
            Self::Http1(connection) => connection.facts,
            Self::Http2(connection) => connection.facts,
        }
    }

    /// Begins to observe another response, and returns the number of bytes that arrived before it. The first byte of an
    /// HTTP/2 response is not told apart from those of others.
    fn expect_response(&self, first_byte: &FirstByte) -> u64 {
        match self {
            Self::Http1(connection) => connection.observation.expect_response(first_byte.clone()),
            Self::Http2(connection) => connection.observation.expect_response(FirstByte::default()),
        }
    }

    fn observation(&self) -> &Arc<Observation> {
        match self {
            Self::Http1(connection) => &connection.observation,
            Self::Http2(connection) => &connection.observation,
        }
    }

    async fn send(&mut self, mut request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        match self {
            Self::Http1(connection) => {
                use_origin_form(&mut request);
                Ok(connection.sender.try_send_request(request).await?)
            }
            Self::Http2(connection) => Ok(connection.sender.try_send_request(request).await?),
        }
    }
}

/// Writes the host of the URL into a header, and leaves path and query in the request line (RFC 9112 §3.2.1).
fn use_origin_form(request: &mut Request<Body>) {
    let host = request.uri().authority().map(|authority| HeaderValue::try_from(authority.as_str()));
    if let Some(Ok(host)) = host {
        request.headers_mut().insert(HOST, host);
    }
    let origin = request.uri().path_and_query().cloned();
    *request.uri_mut() = origin.map_or_else(Uri::default, Uri::from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_its_connection_by_its_version_its_length_or_its_word() {
        let ends = |version: Version, headers: &[(&str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                let name = http::HeaderName::try_from(*name).expect("a name");
                map.append(name, HeaderValue::try_from(*value).expect("a value"));
            }
            ends_connection(version, &map)
        };
        assert!(ends(Version::HTTP_11, &[("connection", "close"), ("content-length", "0")]));
        assert!(ends(Version::HTTP_11, &[("connection", "x, Close"), ("transfer-encoding", "chunked")]));
        assert!(ends(Version::HTTP_10, &[("content-length", "0")]));
        assert!(ends(Version::HTTP_11, &[]));
        assert!(!ends(Version::HTTP_11, &[("content-length", "0")]));
        assert!(!ends(Version::HTTP_11, &[("transfer-encoding", "chunked"), ("connection", "keep-alive")]));
    }

    #[test]
    fn a_request_names_its_host_and_keeps_its_path_and_query() {
        for (url, line, host) in [
            ("https://example.com/a/%2F?b=%zz&c='", "/a/%2F?b=%zz&c='", "example.com"),
            ("https://example.com:8443?x", "/?x", "example.com:8443"),
            ("https://[2606:4700::1111]:444/", "/", "[2606:4700::1111]:444"),
        ] {
            let mut request = Request::post(url).body(Body::default()).expect("a request");
            use_origin_form(&mut request);
            assert_eq!(request.uri().to_string(), line);
            assert_eq!(request.headers()[HOST], host);
        }
    }

    #[test]
    fn the_fields_of_http2_become_lines_within_the_limit() {
        let mut headers = HeaderMap::new();
        headers.append("x-first", HeaderValue::from_static("1"));
        headers.append("x-second", HeaderValue::from_bytes(b"\xe4").expect("a value"));
        let lines = compose_lines(&headers);
        assert_eq!((lines.block.as_slice(), lines.is_cut), (&b"x-first: 1\r\nx-second: \xe4\r\n"[..], false));
        headers.append("x-long", HeaderValue::from_bytes(&[b'a'; 5000]).expect("a value"));
        let lines = compose_lines(&headers);
        assert_eq!((lines.block.len(), lines.is_cut), (4096, true));
    }
}
