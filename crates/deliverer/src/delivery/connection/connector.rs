//! Opens connections to endpoints: name, TCP, TLS, and the handshake of HTTP.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::exchange::TlsVersion;
use domain::ids::BrandId;
use http::Uri;
use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, ProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use super::certificate::describe_tls_error;
use super::error::SendError;
use super::observed_stream::{Observation, ObservedStream};
use super::pool::Host;
use super::round_trip::{Http1, Http2, Open};
use crate::delivery::address_guard::AddressGuard;
use crate::delivery::exchange_trace::{ConnectionFacts, ExchangeTrace, Phase};

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
    pub(super) async fn connect(&self, to: &Destination, trace: &ExchangeTrace) -> Result<Open, SendError> {
        trace.begin_connection();
        let opening = Box::pin(self.open(to, trace));
        match timeout(self.connect_timeout, opening).await {
            Ok(opened) => opened.map_err(SendError::connecting),
            Err(_) => Err(SendError::connect_timeout(self.connect_timeout)),
        }
    }

    async fn open(&self, to: &Destination, trace: &ExchangeTrace) -> Result<Open, BoxError> {
        let stream = self.dial(to, trace).await?;
        trace.note_peer(stream.peer_addr().ok());
        trace.begin_phase(Phase::Tls);
        let stream = match self.tls.connect(to.server_name.clone(), stream).await {
            Ok(stream) => stream,
            Err(error) => {
                trace.note_tls_problem(describe_tls_error(&error));
                return Err(error.into());
            }
        };
        trace.end_phase();
        Ok(self.shake_hands(stream).await?)
    }

    /// Opens the TCP connection. The resolver notes the phases of a name; an address in the URL has no lookup.
    async fn dial(&self, to: &Destination, trace: &ExchangeTrace) -> Result<TcpStream, BoxError> {
        let resolver = self.guard.resolver_of(to.brand.clone(), port_of(&to.uri), trace.clone());
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // The addresses of a name share the time.
        tcp.set_connect_timeout(Some(self.connect_timeout));
        if let ServerName::IpAddress(address) = to.server_name {
            trace.begin_phase(Phase::Connect);
            trace.note_addresses(std::iter::once((address, port_of(&to.uri)).into()));
        }
        let stream = tcp.call(to.uri.clone()).await?.into_inner();
        Ok(stream)
    }

    /// Begins to speak the protocol that TLS agreed on.
    async fn shake_hands(&self, stream: TlsStream<TcpStream>) -> hyper::Result<Open> {
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_HTTP2);
        let facts = connection_facts(&stream, is_http2);
        let observation = Arc::new(Observation::default());
        let stream = TokioIo::new(ObservedStream::new(stream, Arc::clone(&observation)));
        if is_http2 {
            let (sender, connection) = self.http2.handshake(stream).await?;
            return Ok(Open::Http2(Http2::start(sender, connection, observation, facts)));
        }
        let (sender, connection) = self.http1.handshake(stream).await?;
        Ok(Open::Http1(Http1::start(sender, connection, observation, facts)))
    }
}

/// Returns the port of an `https` URL.
fn port_of(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(443)
}

fn connection_facts(stream: &TlsStream<TcpStream>, is_http2: bool) -> ConnectionFacts {
    let (tcp, tls) = stream.get_ref();
    let tls_version = match tls.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => Some(TlsVersion::Tls12),
        Some(ProtocolVersion::TLSv1_3) => Some(TlsVersion::Tls13),
        _ => None,
    };
    ConnectionFacts { peer: tcp.peer_addr().ok(), tls_version, is_http2 }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("connect_timeout", &self.connect_timeout).finish_non_exhaustive()
    }
}
