//! The listener of the API, with its bounds.

use std::time::Duration;

use axum::Router;
use runtime::http_server::{self, ServerLimits, TrustedProxies};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bounds of the listener.
///
/// - A connection costs at most its buffers, 256 KiB in the kernel and 64 KiB in the process, and usually little of them.
/// - A client needs a connection for each request in flight. 64 are more than the rate of a few tokens can use, and 64
///   networks have to work together to use up all connections. A customer gets many networks of IPv6, up to a /48; these
///   have 256 together, so that 16 such sites have to work together.
/// - A connection stays open for 75 s without a request, because load balancers close theirs after 60 s and would
///   otherwise send a request to a connection that is being closed.
/// - Connections end after ten minutes, so that clients spread over new replicas.
const LIMITS: ServerLimits = ServerLimits {
    listener: "api",
    max_connections: 4096,
    max_connections_per_network: 64,
    max_connections_per_site: 256,
    head_timeout: Duration::from_secs(10),
    keep_alive_timeout: Duration::from_secs(75),
    max_lifetime: Duration::from_secs(600),
};

/// Serves `app` until `stop`, then finishes the requests in flight.
pub async fn serve(listener: TcpListener, app: Router, proxies: TrustedProxies, stop: CancellationToken) {
    http_server::serve(listener, app, LIMITS, proxies, stop).await;
}
