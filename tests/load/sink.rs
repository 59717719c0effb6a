//! The endpoints: one HTTPS server on threads of its own that keeps connections, records each arrival and
//! answers as the path says.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use e2e::tls::{Authority, server_config};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::board::Board;
use crate::cpu::RECEIVER;

/// Threads that receive.
const THREADS: usize = 2;
/// How long a slow endpoint takes.
const SLOW_DELAY: Duration = Duration::from_millis(500);
/// A failing endpoint fails one in this number of events at first.
const FAILS_ONE_IN: u32 = 5;

/// How an endpoint treats a request; the first part of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It answers 200.
    Well,
    /// It answers 200, and its arrivals free no place in a closed loop.
    Uncounted,
    /// It reads the request and never answers.
    Hangs,
    /// It answers late.
    Slow,
    /// It answers a fifth of the first attempts with 500.
    Fails,
}

/// The path of each manner.
const PATHS: [(&str, Manner); 5] = [
    ("well", Manner::Well),
    ("uncounted", Manner::Uncounted),
    ("hangs", Manner::Hangs),
    ("slow", Manner::Slow),
    ("fails", Manner::Fails),
];

/// The running server. It stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    port: u16,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Sink {
    pub(crate) fn start(authority: &Authority, http2: bool, board: Arc<Board>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name(RECEIVER)
            .enable_all()
            .build()
            .expect("a runtime");
        let alpn: &[&str] = if http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let tls = server_config(&authority.identity(), alpn);
        let (sender, port) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let listener = TcpListener::bind(any).await.expect("a port");
            let _ = sender.send(listener.local_addr().expect("an address").port());
            accept_connections(listener, tls, board).await;
        });
        Self { port: port.recv().expect("a listener"), runtime: Some(runtime) }
    }

    /// The URL of an endpoint.
    pub(crate) fn url(&self, manner: Manner, endpoint: u32) -> String {
        let (path, _) = PATHS.iter().find(|(_, other)| *other == manner).expect("a path for each manner");
        format!("https://localhost:{}/{path}/{endpoint}", self.port)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept_connections(listener: TcpListener, tls: Arc<ServerConfig>, board: Arc<Board>) {
    let acceptor = TlsAcceptor::from(tls);
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(serve_connection(stream, acceptor.clone(), Arc::clone(&board)));
        }
    }
}

async fn serve_connection(stream: TcpStream, acceptor: TlsAcceptor, board: Arc<Board>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| answer_request(request, Arc::clone(&board)));
    let server = auto::Builder::new(TokioExecutor::new());
    // A broken connection shows as a missing arrival.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer_request(
    request: Request<Incoming>,
    board: Arc<Board>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let parsed = ParsedRequest::of(&request, &board);
    if request.into_body().collect().await.is_err() {
        return Ok(empty_response(400));
    }
    let Some(ParsedRequest { manner, endpoint, event }) = parsed else { return Ok(empty_response(404)) };
    match manner {
        Manner::Hangs => std::future::pending().await,
        Manner::Slow => tokio::time::sleep(SLOW_DELAY).await,
        Manner::Fails if event.is_multiple_of(FAILS_ONE_IN) && board.fail_once(endpoint, event) => {
            return Ok(empty_response(500));
        }
        Manner::Well | Manner::Uncounted | Manner::Fails => {}
    }
    board.record_arrival(endpoint, event, matches!(manner, Manner::Well | Manner::Fails));
    Ok(empty_response(200))
}

/// The event and endpoint of a request.
struct ParsedRequest {
    manner: Manner,
    endpoint: u32,
    event: u32,
}

impl ParsedRequest {
    fn of(request: &Request<Incoming>, board: &Board) -> Option<Self> {
        let (path, endpoint) = request.uri().path().strip_prefix('/')?.split_once('/')?;
        let (_, manner) = PATHS.iter().find(|(other, _)| *other == path)?;
        let event = board.event_of(request.headers().get("webhook-id")?.to_str().ok()?)?;
        Some(Self { manner: *manner, endpoint: endpoint.parse().ok()?, event })
    }
}

fn empty_response(code: u16) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = http::StatusCode::from_u16(code).expect("a status");
    response
}
