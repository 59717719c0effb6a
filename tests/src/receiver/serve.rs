//! Connections and requests of a receiver.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::requests::{Received, Shared};
use crate::script::{Answer, Body, Reply};

type ReplyBody = UnsyncBoxBody<Bytes, Infallible>;

/// The repeated chunk of an endless body.
const CHUNK: Bytes = Bytes::from_static(&[b'.'; 16 * 1024]);

/// Accepts connections until the receiver is dropped, which closes them.
pub(super) async fn accept_connections(listener: TcpListener, tls: Arc<ServerConfig>, shared: Arc<Shared>) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let mut number = 0;
        shared.connections.send_modify(|n| {
            *n += 1;
            number = *n;
        });
        connections.spawn(serve_connection(stream, number, acceptor.clone(), shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, number: usize, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| answer_request(request, number, shared.clone()));
    let server = auto::Builder::new(TokioExecutor::new());
    // A broken connection is the deliverer's business, not the receiver's.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// A guard that counts a path as in use until it is dropped, however the request ends.
struct InFlight(Arc<Shared>, String);

impl InFlight {
    fn enter(shared: Arc<Shared>, path: &str) -> Self {
        shared.enter(path);
        Self(shared, path.to_owned())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.leave(&self.1);
    }
}

async fn answer_request(
    request: Request<Incoming>,
    connection: usize,
    shared: Arc<Shared>,
) -> Result<Response<ReplyBody>, io::Error> {
    let path = request.uri().path().to_owned();
    let _in_flight = InFlight::enter(shared.clone(), &path);
    let received = read_request(request, connection).await?;
    match shared.record(&path, received) {
        Reply::Answer(answer) => Ok(send_answer(answer).await),
        Reply::Hang => std::future::pending().await,
        Reply::Drop => Err(io::Error::other("the script closes the connection")),
    }
}

async fn read_request(request: Request<Incoming>, connection: usize) -> Result<Received, io::Error> {
    let at = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let method = head.method.to_string();
    let version = head.version;
    let headers = head.headers;
    Ok(Received { method, path, version, headers, body, at, connection })
}

async fn send_answer(answer: Answer) -> Response<ReplyBody> {
    if let Some(gate) = &answer.gate {
        gate.passed().await;
    }
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(encode_body(answer.body)).expect("an answer that HTTP allows")
}

fn encode_body(body: Body) -> ReplyBody {
    match body {
        Body::Whole(bytes) => Full::new(bytes).boxed_unsync(),
        Body::Endless => endless_body(CHUNK, Duration::ZERO),
        Body::Drip(every) => endless_body(Bytes::from_static(b"."), every),
    }
}

/// Returns a body that repeats the same chunk without end.
fn endless_body(chunk: Bytes, every: Duration) -> ReplyBody {
    let chunks = stream::unfold((), move |()| {
        let chunk = chunk.clone();
        async move {
            if !every.is_zero() {
                tokio::time::sleep(every).await;
            }
            Some((Ok(Frame::data(chunk)), ()))
        }
    });
    StreamBody::new(chunks).boxed_unsync()
}
