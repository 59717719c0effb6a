//! A developer's own server, which speaks plain HTTP on loopback, answers 200 and keeps the requests.

use std::convert::Infallible;
use std::time::Instant;

use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::WAIT_TIMEOUT;
use crate::receiver::Received;

/// A server that stops when it is dropped.
#[derive(Debug)]
pub struct LocalServer {
    /// Its URL.
    pub url: String,
    received: mpsc::UnboundedReceiver<Received>,
    accepting: JoinHandle<()>,
}

impl LocalServer {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/webhooks", listener.local_addr().expect("an address"));
        let (sender, received) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| respond(request, sender.clone()));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, received, accepting }
    }

    /// Returns the next request.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn next_request(&mut self) -> Received {
        let next = tokio::time::timeout(WAIT_TIMEOUT, self.received.recv()).await;
        next.expect("a request in time").expect("the server runs")
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn respond(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<Received>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    if let Ok(body) = body.collect().await {
        let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let method = parts.method.to_string();
        let version = parts.version;
        let headers = parts.headers;
        let body = body.to_bytes();
        let received = Received { method, path, version, headers, body, at: Instant::now(), connection: 0 };
        // The test may already have ended.
        let _ = sender.send(received);
    }
    Ok(Response::new(Empty::new()))
}
