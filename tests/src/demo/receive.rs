//! The demo's HTTPS receiver.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::error::DemoError;
use super::record::Record;
use super::state::State;
use crate::tls::server_config;

/// Maximum number of bytes of a request body; events are smaller.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Serves HTTPS at `address` until the process ends. It answers 204 to a verified request and 401 to any
/// other, so that an event that comes before the secret is known is retried.
///
/// # Errors
/// When the address or the certificate is not available.
pub async fn serve(address: SocketAddr, state: State) -> Result<(), DemoError> {
    let acceptor = TlsAcceptor::from(server_config(&state.read_identity()?, &["h2", "http/1.1"]));
    let listener =
        TcpListener::bind(address).await.map_err(|e| format!("cannot listen on {address}: {e}"))?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve_connection(stream, acceptor.clone(), state.clone()))),
            Err(error) => eprintln!("cannot accept a connection: {error}"),
        }
    }
}

async fn serve_connection(stream: TcpStream, acceptor: TlsAcceptor, state: State) {
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return eprintln!("TLS: {error}"),
    };
    let service = service_fn(move |request| respond(request, state.clone()));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    // A broken connection is normal for a receiver.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(request: Request<Incoming>, state: State) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let status = match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Ok(body) => {
            let record = Record::of(&head, &body.to_bytes(), state.read_secret());
            store_record(&state, &record)
        }
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

fn store_record(state: &State, record: &Record) -> StatusCode {
    eprintln!("{}", record.text);
    match (state.append_record(record), &record.verified) {
        (Ok(()), Some(_)) => StatusCode::NO_CONTENT,
        (Ok(()), None) => StatusCode::UNAUTHORIZED,
        (Err(error), _) => {
            eprintln!("cannot store the request: {error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
