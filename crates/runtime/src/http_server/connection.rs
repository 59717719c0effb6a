//! One connection, from its first request to its end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metrics::counter;
use tokio::net::TcpStream;
use tower_service::Service;
use tracing::debug;

use crate::http_server::body::{HeldBody, RequestBody};
use crate::http_server::progress::{Exchange, ProgressStream, WaitLimits};
use crate::http_server::{ClientAddress, Shared};

/// Largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Bounds the last exchange of a connection when the process stops: a request of half a minute, and its response.
///
/// A connection that reached its lifetime has no such bound, because a response may take longer at a rate that
/// [`ProgressStream`] allows, and a client that makes no progress ends it anyway.
const FINISH_TIMEOUT: Duration = Duration::from_secs(60);

/// The reason for the end of a connection that its client did not close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client made no progress.
    Stalled,
    /// The connection became too old.
    Lifetime,
}

impl End {
    pub(super) const ALL: [Self; 2] = [Self::Stalled, Self::Lifetime];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Lifetime => "lifetime",
        }
    }
}

/// Serves the requests of a connection.
pub(super) async fn serve_connection(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let limits = &shared.limits;
    let waits = WaitLimits { head: limits.head_timeout, keep_alive: limits.keep_alive_timeout };
    let exchange = Arc::new(Exchange::new(waits));
    let io = TokioIo::new(ProgressStream::new(stream, Arc::clone(&exchange)));
    let context = Arc::clone(&shared);
    let service =
        service_fn(move |request| call_app(Arc::clone(&context), Arc::clone(&exchange), peer, request));
    let mut http = http1::Builder::new();
    // `ProgressStream` has the timeouts: hyper's would treat a connection without a request like a head without an end.
    http.header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES);
    let mut connection = pin!(http.serve_connection(io, service));
    let mut lifetime = pin!(tokio::time::sleep(limits.max_lifetime));
    let mut is_old = false;
    let ended = loop {
        tokio::select! {
            result = connection.as_mut() => break Some(result),
            () = shared.stop.cancelled() => break None,
            () = lifetime.as_mut(), if !is_old => {
                is_old = true;
                count_end(limits.listener, End::Lifetime);
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    let result = match ended {
        Some(result) => result,
        None => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(FINISH_TIMEOUT, connection).await {
                Ok(result) => result,
                Err(_) => return count_end(limits.listener, End::Stalled),
            }
        }
    };
    if let Err(error) = result {
        if is_stalled(&error) {
            count_end(limits.listener, End::Stalled);
        }
        debug!(%peer, %error, "a connection ended early");
    }
}

fn count_end(listener: &'static str, end: End) {
    counter!("postrider_http_connections_ended_total", "listener" => listener, "reason" => end.as_str())
        .increment(1);
}

fn is_stalled(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

async fn call_app(
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    let in_flight = exchange.begin_request();
    let mut app: Router = shared.app.clone();
    let client = ClientAddress(shared.proxies.find_client(peer.ip(), request.headers()));
    let mut request = request.map(|body| Body::new(RequestBody::new(body)));
    request.extensions_mut().insert(client);
    let response = app.call(request).await?;
    Ok(response.map(|body| Body::new(HeldBody::new(body, in_flight))))
}
