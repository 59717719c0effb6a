//! Opens connections to endpoints: name, TCP, TLS, and the handshake of HTTP.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::BrandId;
use http::Uri;
use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::error::SendError;
use super::observed_stream::{Observation, ObservedStream};
use super::pool::Host;
use super::round_trip::{Http1, Http2, Open};
use crate::delivery::address_guard::AddressGuard;

/// Silence on an HTTP/2 connection after which it is pinged; without an answer it is closed after the same time. Many
/// requests share the connection, and none of their timeouts closes it.
const PING_INTERVAL: Duration = Duration::from_secs(4);
/// Headers of a response that are read. A response with more of them has a status and no body.
const MAX_HEADERS: usize = 1024;
/// The protocol name of HTTP/2 in TLS.
const ALPN_HTTP2: &[u8] = b"h2";

/// Where a connection leads to.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The brand whose share of lookups the connection uses.
    pub(crate) brand: BrandId,
    /// The URL, whose scheme, host and port count.
    pub(crate) uri: Uri,
    /// Host and port, which share their connections.
    pub(crate) host: Host,
    /// The host as TLS verifies it.
    pub(crate) server_name: ServerName<'static>,
}

/// Opens connections.
pub(crate) struct Connector {
    tls: TlsConnector,
    guard: AddressGuard,
    connect_timeout: Duration,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Connector {
    pub(crate) fn new(tls: ClientConfig, guard: AddressGuard, connect_timeout: Duration) -> Self {
        let mut http1 = http1::Builder::new();
        // A lenient client accepts all of these, and the status decides.
        http1
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .max_headers(MAX_HEADERS);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2.timer(TokioTimer::new()).keep_alive_interval(PING_INTERVAL).keep_alive_timeout(PING_INTERVAL);
        Self { tls: TlsConnector::from(Arc::new(tls)), guard, connect_timeout, http1, http2 }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// When the name does not resolve or is forbidden, or when the host refuses, does not prove its identity or does not
    /// answer in time.
    pub(super) async fn connect(&self, to: &Destination) -> Result<Open, SendError> {
        let opening = Box::pin(self.open(to));
        match timeout(self.connect_timeout, opening).await {
            Ok(opened) => opened.map_err(SendError::connecting),
            Err(_) => Err(SendError::connect_timeout(self.connect_timeout)),
        }
    }

    async fn open(&self, to: &Destination) -> Result<Open, BoxError> {
        let mut tcp = HttpConnector::new_with_resolver(self.guard.resolver_of(to.brand.clone()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // The addresses of a name share the time.
        tcp.set_connect_timeout(Some(self.connect_timeout));
        let stream = tcp.call(to.uri.clone()).await?.into_inner();
        let stream = self.tls.connect(to.server_name.clone(), stream).await?;
        Ok(self.shake_hands(stream).await?)
    }

    /// Begins to speak the protocol that TLS agreed on.
    async fn shake_hands(&self, stream: TlsStream<TcpStream>) -> hyper::Result<Open> {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
        let observation = Arc::new(Observation::default());
        let stream = TokioIo::new(ObservedStream::new(stream, Arc::clone(&observation)));
        if is_http2 {
            let (sender, connection) = self.http2.handshake(stream).await?;
            return Ok(Open::Http2(Http2::start(sender, connection, observation)));
        }
        let (sender, connection) = self.http1.handshake(stream).await?;
        Ok(Open::Http1(Http1::start(sender, connection, observation)))
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("connect_timeout", &self.connect_timeout).finish_non_exhaustive()
    }
}
