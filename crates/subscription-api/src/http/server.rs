//! The listener. It bounds the number of connections and the time that a client may take to send the head of a
//! request, so that slow clients cannot use up the connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use runtime::tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use tracing::{debug, warn};

/// Most connections at once. Further connections wait in the backlog of the socket.
const MAX_CONNECTIONS: usize = 4096;
/// Longest wait for the head of a request, also on an idle connection.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Delay after a failed `accept`, which fails repeatedly while file descriptors are used up.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves `app` until `stop`, then finishes the requests in flight.
pub async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept_connection(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let app = app.clone();
        let service = service_fn(move |request| call_app(app.clone(), peer, request));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        tasks::spawn_named("HTTP connection", async move {
            // Contained, so that a panic outside of the handlers, such as in a response body, ends only this connection.
            if let Ok(Err(error)) = tasks::contain_panic(connection).await {
                debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept_connection(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, Slot)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Responses are small and written at once, so Nagle's algorithm would only delay them.
            let _ = stream.set_nodelay(true);
            Some((stream, peer, slot))
        }
        Err(error) => {
            warn!(%error, "could not accept a connection");
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            None
        }
    }
}

async fn call_app(
    mut app: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    app.call(request).await
}
