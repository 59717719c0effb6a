//! The HTTP server of every listener. Its clients are strangers, so each of them is bounded by itself.
//!
//! - [`slots`] bounds the connections, in all, for each client network and for each site. A connection without a slot gets 503 and is
//!   closed ([`refusal`]), because a connection that waits in the backlog of the socket would hang without a reason.
//! - [`progress`] ends a connection whose client moves no bytes, too few, or sends no request. [`body`] does the same
//!   for the bodies of requests.
//! - A connection ends after [`ServerLimits::max_lifetime`], once its response is finished, so that long-lived clients
//!   spread over new replicas.
//! - [`forwarded`] finds the client behind proxies that the operator trusts.
//!
//! Buffers of the kernel count, too: [`bind_listener`] bounds them, because a connection could otherwise hold several
//! megabytes there.

mod body;
mod connection;
mod forwarded;
mod progress;
mod refusal;
mod slots;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use metrics::{counter, gauge};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

pub use crate::http_server::body::{BodyTooSlow, HeldBody};
use crate::http_server::connection::{End, serve_connection};
pub use crate::http_server::forwarded::TrustedProxies;
use crate::http_server::refusal::Refusals;
pub use crate::http_server::slots::client_site;
use crate::http_server::slots::{Full, Slot, Slots};
use crate::metrics::{MetricDef, MetricKind};
use crate::tasks;

/// Connections that the kernel completes before the server accepts them. It bounds a burst, because the server accepts
/// at once and refuses by itself.
const BACKLOG: u32 = 1024;
/// Requested size of a socket's send buffer, which Linux doubles. A client has to read a third of it within the stall
/// timeout before the server can write again; at 64 KiB that is about the least rate.
const SEND_BUFFER_BYTES: u32 = 64 * 1024;
/// Requested size of a socket's receive buffer, which Linux doubles. It bounds what a client sends ahead.
const RECEIVE_BUFFER_BYTES: u32 = 64 * 1024;
/// Delay after a failed `accept`, which fails repeatedly while file descriptors are used up.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
/// Shortest interval between two log lines about refused connections, because an attacker could otherwise fill the log.
const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The metrics of the listeners of a process.
pub(crate) const METRICS: [MetricDef; 4] = [
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_http_connections",
        "Connections to a listener: api, or ops for health and metrics",
    )
    .with_labels(&["listener"]),
    MetricDef::new(
        MetricKind::Gauge,
        "postrider_http_connections_max",
        "Limit on the connections to a listener; further ones get 503",
    )
    .with_labels(&["listener"]),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_http_connections_refused_total",
        "Connections that got 503 because of a limit: total, or network for the connections of one client network or of its IPv6 /48",
    )
    .with_labels(&["limit", "listener"]),
    MetricDef::new(
        MetricKind::Counter,
        "postrider_http_connections_ended_total",
        "Connections that ended without their client closing them: stalled (no progress in time) or lifetime",
    )
    .with_labels(&["listener", "reason"]),
];

/// The bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// The label of the listener in metrics.
    pub listener: &'static str,
    /// Most connections at once.
    pub max_connections: usize,
    /// Most connections of one client network at once: an IPv4 address, an IPv6 /64.
    pub max_connections_per_network: usize,
    /// Most connections of one client site at once ([`client_site`]).
    pub max_connections_per_site: usize,
    /// Longest time for the head of a request.
    pub head_timeout: Duration,
    /// Longest time between a response and the next request.
    pub keep_alive_timeout: Duration,
    /// Time after which a connection takes no further request.
    pub max_lifetime: Duration,
}

/// The address of the client of a request, in the extensions of the request. Behind a trusted proxy it is not the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The parts that all connections of a listener share.
#[derive(Debug)]
struct Shared {
    app: Router,
    limits: ServerLimits,
    proxies: TrustedProxies,
    stop: CancellationToken,
}

/// Listens on an address, with bounded buffers for each connection.
///
/// # Errors
/// When the process cannot listen on the address.
pub fn bind_listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As tokio's own `bind` does, so that a restarted process gets its port back at once.
    socket.set_reuseaddr(true)?;
    // The sockets of accepted connections inherit both sizes.
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `app` until `stop`, then finishes the requests in flight.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: ServerLimits,
    proxies: TrustedProxies,
    stop: CancellationToken,
) {
    let name = limits.listener;
    init_metrics(&limits);
    let in_use = gauge!("postrider_http_connections", "listener" => name);
    let slots = Slots::new(&limits, in_use);
    let mut refusing = Refusing { listener: name, refusals: Refusals::new(), logged: None };
    let shared = Arc::new(Shared { app, limits, proxies, stop });
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(listener = name, %error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        let client = (!shared.proxies.contains(peer.ip())).then(|| peer.ip());
        match slots.take(client) {
            Ok(slot) => spawn_connection(&connections, Arc::clone(&shared), stream, peer, slot),
            Err(full) => refusing.refuse(stream, peer, full),
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn spawn_connection(
    connections: &TaskTracker,
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
) {
    // Responses are small and written at once, so Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let task = connections.track_future(async move {
        // Contained, so that a panic outside of the handlers, such as in a response body, ends only this connection.
        let _ = tasks::contain_panic(serve_connection(shared, stream, peer)).await;
        drop(slot);
    });
    tasks::spawn_named("HTTP connection", task);
}

/// Refuses connections, and logs now and then that it does.
struct Refusing {
    listener: &'static str,
    refusals: Refusals,
    logged: Option<tokio::time::Instant>,
}

impl Refusing {
    fn refuse(&mut self, stream: TcpStream, peer: SocketAddr, full: Full) {
        let (listener, limit) = (self.listener, full.as_str());
        counter!("postrider_http_connections_refused_total", "limit" => limit, "listener" => listener)
            .increment(1);
        let now = tokio::time::Instant::now();
        if self.logged.is_none_or(|logged| now - logged >= REFUSAL_LOG_INTERVAL) {
            self.logged = Some(now);
            warn!(
                listener,
                limit, %peer,
                "refusing connections; if the peer is a proxy of yours, name it in POSTRIDER_TRUSTED_PROXIES"
            );
        }
        self.refusals.refuse(stream);
    }
}

fn init_metrics(limits: &ServerLimits) {
    let listener = limits.listener;
    gauge!("postrider_http_connections", "listener" => listener).set(0);
    gauge!("postrider_http_connections_max", "listener" => listener)
        .set(u32::try_from(limits.max_connections).unwrap_or(u32::MAX));
    for full in Full::ALL {
        counter!("postrider_http_connections_refused_total", "limit" => full.as_str(), "listener" => listener)
            .increment(0);
    }
    for end in End::ALL {
        counter!("postrider_http_connections_ended_total", "listener" => listener, "reason" => end.as_str())
            .increment(0);
    }
}
